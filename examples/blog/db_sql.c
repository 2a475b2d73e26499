/* db_sql.c - every statement of the blog, and the tables. Values are bound, never printed into the text. */
#include "db_internal.h"

#define POST_COLUMNS                                                                                                   \
    "SELECT posts.id, views, coalesce(author, 0), users.name, posts.created, edited, title, "                          \
    "(SELECT group_concat(tag, ' ') FROM post_tags WHERE post = posts.id), substr(content, 1, 300) "                   \
    "FROM posts LEFT JOIN users ON users.id = author "

#define USER_COLUMNS "SELECT users.id, is_admin, name, users.created FROM users "

const char *const db_sql[STATEMENTS] = {
    [POST] = POST_COLUMNS "WHERE posts.id = ?",
    [POST_CONTENT] = "SELECT content FROM posts WHERE id = ?",
    [NEWEST] = POST_COLUMNS "ORDER BY posts.id DESC LIMIT ?1 OFFSET ?2",
    [POPULAR] = POST_COLUMNS "ORDER BY views DESC, posts.id DESC LIMIT ?1 OFFSET ?2",
    [POSTS_BY] = POST_COLUMNS "WHERE author = ?3 ORDER BY posts.id DESC LIMIT ?1 OFFSET ?2",
    [POSTS_TAGGED] = POST_COLUMNS "WHERE posts.id IN (SELECT post FROM post_tags WHERE tag = ?3) "
                                  "ORDER BY posts.id DESC LIMIT ?1 OFFSET ?2",
    [ADD_POST] = "INSERT INTO posts (title, content, author) VALUES (?1, ?2, nullif(?3, 0))",
    [CHANGE_POST] = "UPDATE posts SET title = ?1, content = ?2, edited = datetime('now') WHERE id = ?3",
    [DELETE_POST] = "DELETE FROM posts WHERE id = ?",
    [ADD_TAG] = "INSERT OR IGNORE INTO post_tags (post, tag) VALUES (?, ?)",
    [DELETE_TAGS] = "DELETE FROM post_tags WHERE post = ?",
    [ADD_VIEWS] = "UPDATE posts SET views = views + ? WHERE id = ?",
    [USER] = USER_COLUMNS "WHERE id = ?",
    [USER_NAMED] = USER_COLUMNS "WHERE name = ?",
    [USER_INFO] = "SELECT users.id, is_admin, name, users.created, count(posts.id), coalesce(sum(views), 0) "
                  "FROM users LEFT JOIN posts ON author = users.id WHERE users.id = ? GROUP BY users.id",
    [PASSWORD_HASH] = "SELECT password FROM users WHERE id = ?",
    [ADD_USER] = "INSERT INTO users (name, password, is_admin) VALUES (?, ?, ?)",
    [SET_PASSWORD_HASH] = "UPDATE users SET password = ? WHERE id = ?",
    [ADD_SESSION] = "INSERT INTO sessions (token, user, expires) VALUES (?, ?, unixepoch('now') + ?)",
    [SESSION] = USER_COLUMNS "JOIN sessions ON user = users.id WHERE token = ? AND expires > unixepoch('now')",
    [DELETE_SESSION] = "DELETE FROM sessions WHERE token = ?",
    [DELETE_OLD_SESSIONS] = "DELETE FROM sessions WHERE expires <= unixepoch('now')",
    [ADD_ACTIVITY] = "INSERT INTO activities (user, text) VALUES (?, ?)",
    [ACTIVITIES] = "SELECT created, text FROM activities WHERE user = ?2 ORDER BY id DESC LIMIT ?1",
    [PRODUCT] = "SELECT id, cents, name, description FROM products WHERE id = ?",
    [PRODUCTS] = "SELECT id, cents, name, description FROM products ORDER BY id LIMIT ?1 OFFSET ?2",
    [ADD_PRODUCT] = "INSERT INTO products (name, description, cents) VALUES (?1, ?2, ?3)",
    [CHANGE_PRODUCT] = "UPDATE products SET name = coalesce(?1, name), description = coalesce(?2, description), "
                       "cents = coalesce(nullif(?3, -1), cents) WHERE id = ?4 RETURNING id, cents, name, description",
    [SEARCH] =
        "SELECT 0, id, title FROM posts WHERE id IN "
        "(SELECT rowid FROM posts_text WHERE posts_text MATCH ?2 ORDER BY rowid DESC LIMIT ?1) UNION ALL "
        "SELECT 1, id, name FROM products WHERE id IN "
        "(SELECT rowid FROM products_text WHERE products_text MATCH ?2 ORDER BY rowid DESC LIMIT ?1) "
        "ORDER BY 1, 2 DESC LIMIT ?1",
    [COUNT_ATTEMPT] =
        "INSERT INTO attempts (kind, who, n, ends) VALUES (?1, ?2, 1, unixepoch('now') + ?3) "
        "ON CONFLICT (kind, who) DO UPDATE SET "
        "n = CASE WHEN ends <= unixepoch('now') THEN 1 ELSE n + 1 END, "
        "ends = CASE WHEN ends <= unixepoch('now') THEN excluded.ends ELSE ends END RETURNING n",
    [TAKE_BACK_ATTEMPT] = "UPDATE attempts SET n = n - 1 WHERE kind = ?1 AND who = ?2",
    [FORGET_ATTEMPTS] = "DELETE FROM attempts WHERE kind = ?1 AND who = ?2",
    [DELETE_OLD_ATTEMPTS] = "DELETE FROM attempts WHERE ends <= unixepoch('now')",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
};

const char db_schema[] =
    "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
    " password TEXT NOT NULL, is_admin INTEGER NOT NULL, created TEXT NOT NULL DEFAULT (datetime('now')));"

    "CREATE TABLE IF NOT EXISTS posts (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL,"
    " content TEXT NOT NULL, created TEXT NOT NULL DEFAULT (datetime('now')), views INTEGER NOT NULL DEFAULT 0,"
    " author INTEGER REFERENCES users (id), edited TEXT);"
    "CREATE INDEX IF NOT EXISTS posts_by_views ON posts (views DESC, id DESC);"
    "CREATE INDEX IF NOT EXISTS posts_by_author ON posts (author, id DESC);"

    "CREATE TABLE IF NOT EXISTS post_tags (post INTEGER NOT NULL REFERENCES posts (id) ON DELETE CASCADE,"
    " tag TEXT NOT NULL, PRIMARY KEY (post, tag)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS post_tags_by_tag ON post_tags (tag, post DESC);"

    "CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES users (id),"
    " expires INTEGER NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE IF NOT EXISTS activities (id INTEGER PRIMARY KEY, user INTEGER NOT NULL REFERENCES users (id),"
    " text TEXT NOT NULL, created TEXT NOT NULL DEFAULT (datetime('now')));"
    "CREATE INDEX IF NOT EXISTS activities_by_user ON activities (user, id DESC);"

    "CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,"
    " description TEXT NOT NULL DEFAULT '', cents INTEGER NOT NULL);"

    /* What somebody tried, and how often until `ends`. */
    "CREATE TABLE IF NOT EXISTS attempts (kind TEXT NOT NULL, who TEXT NOT NULL, n INTEGER NOT NULL,"
    " ends INTEGER NOT NULL, PRIMARY KEY (kind, who)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS attempts_by_end ON attempts (ends);"

    /* The words of posts and products. Views change all the time and have no words: they touch no index. */
    "CREATE VIRTUAL TABLE IF NOT EXISTS posts_text USING fts5 (title, content, content = 'posts',"
    " content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3');"
    "CREATE TRIGGER IF NOT EXISTS posts_text_add AFTER INSERT ON posts BEGIN"
    " INSERT INTO posts_text (rowid, title, content) VALUES (new.id, new.title, new.content); END;"
    "CREATE TRIGGER IF NOT EXISTS posts_text_delete AFTER DELETE ON posts BEGIN"
    " INSERT INTO posts_text (posts_text, rowid, title, content)"
    " VALUES ('delete', old.id, old.title, old.content); END;"
    "CREATE TRIGGER IF NOT EXISTS posts_text_change AFTER UPDATE OF title, content ON posts BEGIN"
    " INSERT INTO posts_text (posts_text, rowid, title, content) VALUES ('delete', old.id, old.title, old.content);"
    " INSERT INTO posts_text (rowid, title, content) VALUES (new.id, new.title, new.content); END;"

    "CREATE VIRTUAL TABLE IF NOT EXISTS products_text USING fts5 (name, description, content = 'products',"
    " content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3');"
    "CREATE TRIGGER IF NOT EXISTS products_text_add AFTER INSERT ON products BEGIN"
    " INSERT INTO products_text (rowid, name, description) VALUES (new.id, new.name, new.description); END;"
    "CREATE TRIGGER IF NOT EXISTS products_text_change AFTER UPDATE OF name, description ON products BEGIN"
    " INSERT INTO products_text (products_text, rowid, name, description)"
    " VALUES ('delete', old.id, old.name, old.description);"
    " INSERT INTO products_text (rowid, name, description) VALUES (new.id, new.name, new.description); END;"
    "PRAGMA user_version = 3;";

/* A database from before there were users. */
const char db_upgrade[] = "ALTER TABLE posts ADD COLUMN author INTEGER REFERENCES users (id);"
                            "ALTER TABLE posts ADD COLUMN edited TEXT;";
