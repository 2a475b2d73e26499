"""The three measured pages of the blog with Flask and Flask-Caching: same database, queries, HTML and lifetimes.

Served by gunicorn: BLOG_DB=blog.db gunicorn --workers 2 --bind 127.0.0.1:9000 flask_blog:app
"""
import os
import sqlite3

from flask import Flask, abort, g, render_template
from flask_caching import Cache
from jinja2 import DictLoader

app = Flask(__name__)
cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 300})
counts = {"hits": 0, "misses": 0}

LAYOUT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header><nav><a class="brand" href="/">The cached blog</a><a href="/popular">Popular</a>\
<a href="/new-post">New post</a><a href="/cache-stats">Statistics</a></nav></header>
<main>
<h1>{{ title }}</h1>
%s
</main>
<footer>Served by Flask-Caching, a cache for Flask.</footer>
</body>
</html>
"""

HOME = LAYOUT % """{% for post in posts %}<article><h2><a href="/post/{{ post.id }}">{{ post.title }}</a></h2>
{% for text in post.content.split('\n\n') %}<p>{{ text }}</p>{% endfor %}
<div class="about">{{ post.created }}</div></article>
{% endfor %}"""

POST = LAYOUT % """<div class="about">{{ post.created }}</div>
{% for text in post.content.split('\n\n') %}<p>{{ text }}</p>{% endfor %}"""

app.jinja_loader = DictLoader({"home.html": HOME, "post.html": POST})  # compiled once


def query(sql, *args):
    if "db" not in g:
        g.db = sqlite3.connect(os.environ["BLOG_DB"])
        g.db.row_factory = sqlite3.Row
    return g.db.execute(sql, args).fetchall()


@app.teardown_appcontext
def close_db(_error):
    db = g.pop("db", None)
    if db is not None:
        db.close()


@app.route("/")
@cache.cached(timeout=60)
def home():
    posts = query("SELECT id, views, created, title, content FROM posts ORDER BY id DESC LIMIT 10")
    return render_template("home.html", title="Newest posts", posts=posts)


@cache.memoize(60)
def get_post(post_id):
    rows = query("SELECT id, views, created, title, content FROM posts WHERE id = ?", post_id)
    return dict(rows[0]) if rows else None


@app.route("/post/<int:post_id>")
def show_post(post_id):
    post = get_post(post_id)
    if post is None:
        abort(404)
    return render_template("post.html", title=post["title"], post=post)


@app.route("/cache-stats")
def cache_stats():
    asked = counts["hits"] + counts["misses"]
    rate = f"{100 * counts['hits'] / asked:.1f}%" if asked else "N/A"
    return {"cache_hits": counts["hits"], "cache_misses": counts["misses"], "hit_rate": rate}
