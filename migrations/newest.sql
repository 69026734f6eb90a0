CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE meta (
	"key" TEXT NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_meta PRIMARY KEY ("key")
);

CREATE TABLE roots (
	id INTEGER NOT NULL,
	path TEXT NOT NULL,
	added_at TEXT NOT NULL,
	CONSTRAINT pk_roots PRIMARY KEY (id),
	CONSTRAINT uq_roots_path UNIQUE (path)
);

CREATE TABLE photos (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	root_id INTEGER NOT NULL,
	path TEXT NOT NULL,
	size BIGINT NOT NULL,
	mtime_ns BIGINT NOT NULL,
	content_hash TEXT,
	width INTEGER,
	height INTEGER,
	orientation INTEGER,
	taken_local TEXT,
	taken_utc TEXT,
	taken_offset_minutes INTEGER,
	state TEXT NOT NULL,
	error TEXT,
	model_version TEXT,
	indexed_at TEXT,
	face_count INTEGER,
	reviewed BOOLEAN NOT NULL, look BLOB, taken_source TEXT, warning TEXT, failure_key TEXT, ctime_ns BIGINT, revision BIGINT DEFAULT '0' NOT NULL, duration DOUBLE, poster_time DOUBLE,
	CONSTRAINT fk_photos_root_id FOREIGN KEY(root_id) REFERENCES roots (id) ON DELETE CASCADE,
	CONSTRAINT uq_photos_root_id_path UNIQUE (root_id, path)
);

CREATE TABLE faces (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	photo_id INTEGER NOT NULL,
	x DOUBLE NOT NULL,
	y DOUBLE NOT NULL,
	width DOUBLE NOT NULL,
	height DOUBLE NOT NULL,
	landmarks JSON NOT NULL,
	score DOUBLE NOT NULL,
	sharpness DOUBLE NOT NULL,
	detected BOOLEAN NOT NULL,
	present BOOLEAN NOT NULL,
	drawn BOOLEAN NOT NULL, given_by_host BOOLEAN DEFAULT 0 NOT NULL, video_time DOUBLE,
	CONSTRAINT fk_faces_photo_id FOREIGN KEY(photo_id) REFERENCES photos (id) ON DELETE CASCADE
);

CREATE TABLE photo_groups (
	photo_id INTEGER NOT NULL,
	name TEXT NOT NULL,
	at_least INTEGER NOT NULL,
	probability DOUBLE NOT NULL,
	CONSTRAINT pk_photo_groups PRIMARY KEY (photo_id, name, at_least),
	CONSTRAINT fk_photo_groups_photo_id FOREIGN KEY(photo_id) REFERENCES photos (id) ON DELETE CASCADE
);

CREATE TABLE tags (
	id INTEGER NOT NULL,
	photo_id INTEGER NOT NULL,
	name TEXT NOT NULL,
	source TEXT NOT NULL,
	probability DOUBLE,
	state TEXT NOT NULL,
	created_at TEXT NOT NULL,
	CONSTRAINT pk_tags PRIMARY KEY (id),
	CONSTRAINT fk_tags_photo_id FOREIGN KEY(photo_id) REFERENCES photos (id) ON DELETE CASCADE,
	CONSTRAINT uq_tags_photo_id_name UNIQUE (photo_id, name)
);

CREATE TABLE embeddings (
	face_id INTEGER NOT NULL,
	model_version TEXT NOT NULL,
	dimension INTEGER NOT NULL,
	vector BLOB NOT NULL, stale BOOLEAN DEFAULT 0 NOT NULL,
	CONSTRAINT pk_embeddings PRIMARY KEY (face_id),
	CONSTRAINT fk_embeddings_face_id FOREIGN KEY(face_id) REFERENCES faces (id) ON DELETE CASCADE
);

CREATE TABLE predictions (
	face_id INTEGER NOT NULL,
	model_version TEXT NOT NULL,
	age_distribution BLOB,
	age DOUBLE,
	age_low DOUBLE,
	age_high DOUBLE,
	p_babies DOUBLE,
	p_toddlers DOUBLE,
	p_children DOUBLE,
	p_teenagers DOUBLE,
	p_adults DOUBLE,
	p_seniors DOUBLE,
	p_female DOUBLE, network_age_distribution BLOB, network_p_female DOUBLE, stale BOOLEAN DEFAULT 0 NOT NULL,
	CONSTRAINT pk_predictions PRIMARY KEY (face_id),
	CONSTRAINT fk_predictions_face_id FOREIGN KEY(face_id) REFERENCES faces (id) ON DELETE CASCADE
);

CREATE TABLE verdicts (
	face_id INTEGER NOT NULL,
	age_low INTEGER,
	age_high INTEGER,
	gender TEXT,
	gender_given BOOLEAN NOT NULL,
	dismissed BOOLEAN NOT NULL, age_derived BOOLEAN DEFAULT 0 NOT NULL,
	CONSTRAINT pk_verdicts PRIMARY KEY (face_id),
	CONSTRAINT fk_verdicts_face_id FOREIGN KEY(face_id) REFERENCES faces (id) ON DELETE CASCADE
);

CREATE TABLE "corrections" (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	made_at TEXT NOT NULL,
	made_by TEXT NOT NULL,
	kind TEXT NOT NULL,
	content_hash TEXT,
	photo_id INTEGER,
	face_id INTEGER,
	box JSON,
	value JSON NOT NULL,
	value_before JSON,
	uid TEXT NOT NULL,
	batch TEXT NOT NULL,
	path TEXT,
	embedding BLOB, look BLOB, embedding_version TEXT, face_uid TEXT, origin TEXT, video_time DOUBLE,
	CONSTRAINT uq_corrections_uid UNIQUE (uid)
);

CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	happened_at TEXT NOT NULL,
	kind TEXT NOT NULL,
	photo_id INTEGER,
	face_id INTEGER
);

CREATE TABLE adaptations (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	made_at TEXT NOT NULL,
	standing BOOLEAN NOT NULL,
	model_version TEXT NOT NULL,
	parameters JSON NOT NULL,
	report JSON NOT NULL
);

CREATE TABLE forgotten (
	id INTEGER NOT NULL,
	made_at TEXT NOT NULL,
	kind TEXT NOT NULL,
	path TEXT,
	size BIGINT,
	mtime_ns BIGINT,
	content_hash TEXT,
	photo_id INTEGER,
	box JSON, video_time DOUBLE,
	CONSTRAINT pk_forgotten PRIMARY KEY (id)
);

CREATE TABLE people (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	uid TEXT NOT NULL,
	hidden BOOLEAN NOT NULL,
	is_me BOOLEAN NOT NULL,
	birth_date TEXT,
	created_at TEXT NOT NULL,
	birth_estimate DOUBLE,
	birth_deviation DOUBLE,
	corrected BOOLEAN NOT NULL,
	size INTEGER NOT NULL,
	cover_face_id INTEGER,
	unsettled BOOLEAN NOT NULL,
	CONSTRAINT uq_people_uid UNIQUE (uid),
	CONSTRAINT fk_people_cover_face_id FOREIGN KEY(cover_face_id) REFERENCES faces (id) ON DELETE SET NULL
);

CREATE TABLE person_names (
	person_id INTEGER NOT NULL,
	position INTEGER NOT NULL,
	name TEXT NOT NULL,
	folded TEXT NOT NULL,
	CONSTRAINT pk_person_names PRIMARY KEY (person_id, position),
	CONSTRAINT fk_person_names_person_id FOREIGN KEY(person_id) REFERENCES people (id) ON DELETE CASCADE
);

CREATE TABLE face_people (
	face_id INTEGER NOT NULL,
	person_id INTEGER,
	state TEXT NOT NULL,
	probability DOUBLE NOT NULL,
	source TEXT NOT NULL,
	CONSTRAINT pk_face_people PRIMARY KEY (face_id),
	CONSTRAINT fk_face_people_face_id FOREIGN KEY(face_id) REFERENCES faces (id) ON DELETE CASCADE,
	CONSTRAINT fk_face_people_person_id FOREIGN KEY(person_id) REFERENCES people (id) ON DELETE CASCADE
);

CREATE TABLE person_rejections (
	person_id INTEGER NOT NULL,
	face_id INTEGER NOT NULL,
	CONSTRAINT pk_person_rejections PRIMARY KEY (person_id, face_id),
	CONSTRAINT fk_person_rejections_person_id FOREIGN KEY(person_id) REFERENCES people (id) ON DELETE CASCADE,
	CONSTRAINT fk_person_rejections_face_id FOREIGN KEY(face_id) REFERENCES faces (id) ON DELETE CASCADE
);

CREATE TABLE person_relations (
	person_id INTEGER NOT NULL,
	other_id INTEGER NOT NULL,
	relation TEXT NOT NULL,
	CONSTRAINT pk_person_relations PRIMARY KEY (person_id, other_id, relation),
	CONSTRAINT fk_person_relations_person_id FOREIGN KEY(person_id) REFERENCES people (id) ON DELETE CASCADE,
	CONSTRAINT fk_person_relations_other_id FOREIGN KEY(other_id) REFERENCES people (id) ON DELETE CASCADE
);

CREATE TABLE host_metadata (
	photo_id INTEGER NOT NULL,
	place TEXT NOT NULL,
	file TEXT NOT NULL,
	size BIGINT,
	mtime_ns BIGINT,
	ctime_ns BIGINT,
	content JSON NOT NULL,
	applied JSON,
	due BOOLEAN NOT NULL,
	problem TEXT,
	CONSTRAINT pk_host_metadata PRIMARY KEY (photo_id, place),
	CONSTRAINT fk_host_metadata_photo_id FOREIGN KEY(photo_id) REFERENCES photos (id) ON DELETE CASCADE
);

CREATE TABLE sidecars (
	photo_id INTEGER NOT NULL,
	written JSON NOT NULL,
	written_at TEXT,
	problem TEXT,
	retry_at TEXT,
	CONSTRAINT pk_sidecars PRIMARY KEY (photo_id),
	CONSTRAINT fk_sidecars_photo_id FOREIGN KEY(photo_id) REFERENCES photos (id) ON DELETE CASCADE
);

CREATE TABLE bridge_items (
	id INTEGER NOT NULL,
	bridge TEXT NOT NULL,
	server TEXT NOT NULL,
	kind TEXT NOT NULL,
	"key" TEXT NOT NULL,
	state TEXT NOT NULL,
	value JSON NOT NULL,
	remote JSON NOT NULL,
	"before" JSON,
	sent_at TEXT NOT NULL,
	CONSTRAINT pk_bridge_items PRIMARY KEY (id),
	CONSTRAINT uq_bridge_items_bridge_server_kind_key UNIQUE (bridge, server, kind, "key")
);

CREATE TABLE albums (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	uid TEXT NOT NULL,
	name TEXT NOT NULL,
	"query" TEXT,
	language TEXT,
	min_probability DOUBLE NOT NULL,
	shared BOOLEAN NOT NULL,
	removed BOOLEAN NOT NULL,
	created_at TEXT NOT NULL,
	CONSTRAINT uq_albums_uid UNIQUE (uid)
);

CREATE TABLE album_photos (
	album_uid TEXT NOT NULL,
	photo_id INTEGER NOT NULL,
	inside BOOLEAN NOT NULL,
	CONSTRAINT pk_album_photos PRIMARY KEY (album_uid, photo_id),
	CONSTRAINT fk_album_photos_photo_id FOREIGN KEY(photo_id) REFERENCES photos (id) ON DELETE CASCADE
);

CREATE TABLE guests (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	token_hash TEXT NOT NULL,
	path TEXT NOT NULL,
	name TEXT NOT NULL,
	everything BOOLEAN NOT NULL,
	made_at TEXT NOT NULL,
	seen_at TEXT NOT NULL,
	CONSTRAINT uq_guests_token_hash UNIQUE (token_hash),
	CONSTRAINT uq_guests_path UNIQUE (path)
);

CREATE TABLE people_changes (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	face_id INTEGER NOT NULL
);

CREATE TRIGGER face_people_insert AFTER INSERT ON face_people BEGIN INSERT INTO people_changes (face_id) VALUES (new.face_id); END;

CREATE TRIGGER face_people_update AFTER UPDATE ON face_people BEGIN INSERT INTO people_changes (face_id) VALUES (new.face_id); END;

CREATE TRIGGER face_people_delete AFTER DELETE ON face_people BEGIN INSERT INTO people_changes (face_id) VALUES (old.face_id); END;

CREATE TRIGGER person_rejections_insert AFTER INSERT ON person_rejections BEGIN INSERT INTO people_changes (face_id) VALUES (new.face_id); END;

CREATE TRIGGER person_rejections_update AFTER UPDATE ON person_rejections BEGIN INSERT INTO people_changes (face_id) VALUES (new.face_id); END;

CREATE TRIGGER person_rejections_delete AFTER DELETE ON person_rejections BEGIN INSERT INTO people_changes (face_id) VALUES (old.face_id); END;

CREATE INDEX ix_album_photos_photo_id ON album_photos (photo_id);

CREATE INDEX ix_corrections_batch ON corrections (batch);

CREATE INDEX ix_corrections_content_hash ON corrections (content_hash);

CREATE INDEX ix_corrections_face_id ON corrections (face_id);

CREATE INDEX ix_corrections_kind ON corrections (kind);

CREATE INDEX ix_corrections_path ON corrections (path);

CREATE INDEX ix_corrections_photo_id ON corrections (photo_id);

CREATE INDEX ix_face_people_person_id_state_face_id ON face_people (person_id, state, face_id);

CREATE INDEX ix_faces_photo_id ON faces (photo_id);

CREATE INDEX ix_forgotten_content_hash ON forgotten (content_hash);

CREATE INDEX ix_forgotten_photo_id ON forgotten (photo_id);

CREATE INDEX ix_host_metadata_due ON host_metadata (due);

CREATE INDEX ix_people_size ON people (size);

CREATE INDEX ix_people_unsettled ON people (unsettled);

CREATE INDEX ix_person_names_folded ON person_names (folded);

CREATE INDEX ix_person_rejections_face_id ON person_rejections (face_id);

CREATE INDEX ix_photo_groups_ranked ON photo_groups (name, at_least, probability DESC, photo_id);

CREATE INDEX ix_photos_content_hash ON photos (content_hash);

CREATE INDEX ix_photos_face_count ON photos (face_count);

CREATE INDEX ix_photos_revision ON photos (revision);

CREATE INDEX ix_photos_size ON photos (size);

CREATE INDEX ix_photos_state_id ON photos (state, id);

CREATE INDEX ix_photos_taken_local ON photos (taken_local);

CREATE INDEX ix_tags_name_state_photo_id ON tags (name, state, photo_id);

INSERT INTO alembic_version VALUES ('0016');
