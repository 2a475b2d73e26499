/* The targets: each is the file of that name. No guard: it is read several times, with TARGET defined anew. */
TARGET(entry)
TARGET(envelope)
TARGET(environment)
TARGET(http)
TARGET(number)
TARGET(page)
TARGET(page_key)
TARGET(template)
TARGET(url)
#ifdef FUZZ_CODEC
TARGET(codec)
#endif
#ifdef FUZZ_MEMCACHED
TARGET(memcached)
#endif
#ifdef FUZZ_REDIS
TARGET(redis)
#endif
#ifdef FUZZ_BLOG
TARGET(blog_form)
TARGET(blog_json)
TARGET(blog_markdown)
TARGET(blog_product)
TARGET(blog_request)
#endif
