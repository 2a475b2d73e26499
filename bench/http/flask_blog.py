"""The blog's three measured pages in Python, for comparison: Flask, Flask-Caching, SQLite, Jinja templates.

    BLOG_DB=blog.db gunicorn -w 2 -b 127.0.0.1:PORT flask_blog:app      (the database of the C blog)
"""
import os
import sqlite3

from flask import Flask, abort, g, jsonify, render_template_string
from flask_caching import Cache

app = Flask(__name__)
app.config.update(CACHE_TYPE="SimpleCache", CACHE_DEFAULT_TIMEOUT=60)
cache = Cache(app)

LAYOUT = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{{ title }}</title>
<link rel="stylesheet" href="/style.css"></head><body><main><h1>{{ title }}</h1>
{% for post in posts %}<article><h2><a href="/post/{{ post['id'] }}">{{ post['title'] }}</a></h2>
<p>{{ post['content'] }}</p></article>{% endfor %}</main></body></html>"""


def db():
    if "db" not in g:
        g.db = sqlite3.connect(os.environ["BLOG_DB"])
        g.db.row_factory = sqlite3.Row
    return g.db


@app.teardown_appcontext
def close_db(_):
    connection = g.pop("db", None)
    if connection is not None:
        connection.close()


@app.route("/")
@cache.cached(timeout=60)
def home():
    posts = db().execute("SELECT id, title, content FROM posts ORDER BY id DESC LIMIT 10").fetchall()
    return render_template_string(LAYOUT, title="Blog", posts=posts)


@cache.memoize(timeout=60)
def get_post(post_id):
    row = db().execute("SELECT id, title, content FROM posts WHERE id = ?", (post_id,)).fetchone()
    return dict(row) if row else None


@app.route("/post/<int:post_id>")
def post(post_id):
    found = get_post(post_id)
    if found is None:
        abort(404)
    return render_template_string(LAYOUT, title=found["title"], posts=[found])


@app.route("/cache-stats")
def cache_stats():
    return jsonify(items=len(cache.cache._cache))
