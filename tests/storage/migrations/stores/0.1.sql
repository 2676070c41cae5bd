-- A small store that release 0.1 wrote on SQLite: a search over the evaluator table, one trial by hand,
-- one whose workers ended three times, one that runs and one that waits. Names of hosts were replaced.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE search_depths (
	study_id INTEGER NOT NULL, 
	depth INTEGER NOT NULL, 
	budget INTEGER NOT NULL, 
	optuna_study VARCHAR NOT NULL, 
	CONSTRAINT pk_search_depths PRIMARY KEY (study_id, depth), 
	CONSTRAINT fk_search_depths_study_id FOREIGN KEY(study_id) REFERENCES search_studies (id) ON DELETE CASCADE, 
	CONSTRAINT uq_search_depths_optuna_study UNIQUE (optuna_study)
);
INSERT INTO "search_depths" VALUES(1,2,6,'small/L2');
INSERT INTO "search_depths" VALUES(1,3,9,'small/L3');
CREATE TABLE search_queries (
	id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	task VARCHAR NOT NULL, 
	"query" VARCHAR NOT NULL, 
	CONSTRAINT pk_search_queries PRIMARY KEY (id), 
	CONSTRAINT fk_search_queries_study_id FOREIGN KEY(study_id) REFERENCES search_studies (id) ON DELETE CASCADE, 
	CONSTRAINT uq_search_queries_study_id_task_query UNIQUE (study_id, task, "query")
);
INSERT INTO "search_queries" VALUES(1,1,'arg','q0');
INSERT INTO "search_queries" VALUES(2,1,'arg','q1');
INSERT INTO "search_queries" VALUES(3,1,'arg','q2');
INSERT INTO "search_queries" VALUES(4,1,'nq','q0');
INSERT INTO "search_queries" VALUES(5,1,'nq','q1');
INSERT INTO "search_queries" VALUES(6,1,'nq','q2');
CREATE TABLE search_query_scores (
	trial_id INTEGER NOT NULL, 
	query_id INTEGER NOT NULL, 
	score DOUBLE NOT NULL, 
	CONSTRAINT pk_search_query_scores PRIMARY KEY (trial_id, query_id), 
	CONSTRAINT fk_search_query_scores_query_id FOREIGN KEY(query_id) REFERENCES search_queries (id) ON DELETE CASCADE, 
	CONSTRAINT fk_search_query_scores_trial_id FOREIGN KEY(trial_id) REFERENCES search_trials (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "search_query_scores" VALUES(9,1,0.3125);
INSERT INTO "search_query_scores" VALUES(9,2,0.4375);
INSERT INTO "search_query_scores" VALUES(9,3,0.5625);
INSERT INTO "search_query_scores" VALUES(9,4,0.4375);
INSERT INTO "search_query_scores" VALUES(9,5,0.5625);
INSERT INTO "search_query_scores" VALUES(9,6,0.6875);
INSERT INTO "search_query_scores" VALUES(10,1,0.1875);
INSERT INTO "search_query_scores" VALUES(10,2,0.3125);
INSERT INTO "search_query_scores" VALUES(10,3,0.4375);
INSERT INTO "search_query_scores" VALUES(10,4,0.3125);
INSERT INTO "search_query_scores" VALUES(10,5,0.4375);
INSERT INTO "search_query_scores" VALUES(10,6,0.5625);
CREATE TABLE search_schema_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT search_schema_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "search_schema_version" VALUES('0001');
CREATE TABLE search_studies (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	file JSON NOT NULL, 
	folder VARCHAR NOT NULL, 
	recipe_hash VARCHAR NOT NULL, 
	base VARCHAR NOT NULL, 
	layers INTEGER NOT NULL, 
	period INTEGER, 
	fingerprints JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_search_studies PRIMARY KEY (id), 
	CONSTRAINT uq_search_studies_name UNIQUE (name)
);
INSERT INTO "search_studies" VALUES(1,'small','{"study": {"name": "small", "depths": [2, 3], "trials": {"2": 3, "3": 3}, "seed": 0, "first": ["0_2", "0_5", "0_1_3"]}, "space": {"cadence": "free", "period": null, "keep_first": true, "pinned": [], "forbidden": []}, "base": null, "sampler": {"name": "swap", "startup": 8, "explore": 0.1}, "evaluator": {"name": "table", "path": "small.csv", "layers": 6, "period": null, "noise": 0.0}}','/studies','160975c57e18c20dd7485108cf7a97af2cc2f0b4b7f187da53081ad43ca5f971','small',6,NULL,'{"table": "74424fd3136ddd7cac48d1372be0fa53720dda8f2f44b2c59afe819589b8f1b6"}','2026-11-24 08:51:14.907000');
CREATE TABLE search_task_scores (
	trial_id INTEGER NOT NULL, 
	task VARCHAR NOT NULL, 
	score DOUBLE NOT NULL, 
	CONSTRAINT pk_search_task_scores PRIMARY KEY (trial_id, task), 
	CONSTRAINT fk_search_task_scores_trial_id FOREIGN KEY(trial_id) REFERENCES search_trials (id) ON DELETE CASCADE
);
INSERT INTO "search_task_scores" VALUES(1,'arg',0.2875);
INSERT INTO "search_task_scores" VALUES(1,'nq',0.4125);
INSERT INTO "search_task_scores" VALUES(3,'arg',0.2375);
INSERT INTO "search_task_scores" VALUES(3,'nq',0.3625);
INSERT INTO "search_task_scores" VALUES(4,'arg',0.4875);
INSERT INTO "search_task_scores" VALUES(4,'nq',0.6125);
INSERT INTO "search_task_scores" VALUES(5,'arg',0.3375);
INSERT INTO "search_task_scores" VALUES(5,'nq',0.4625);
INSERT INTO "search_task_scores" VALUES(6,'arg',0.2375);
INSERT INTO "search_task_scores" VALUES(6,'nq',0.3625);
INSERT INTO "search_task_scores" VALUES(7,'arg',0.5375);
INSERT INTO "search_task_scores" VALUES(7,'nq',0.6625);
INSERT INTO "search_task_scores" VALUES(9,'arg',0.4375);
INSERT INTO "search_task_scores" VALUES(9,'nq',0.5625);
INSERT INTO "search_task_scores" VALUES(10,'arg',0.3125);
INSERT INTO "search_task_scores" VALUES(10,'nq',0.4375);
CREATE TABLE search_trials (
	id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	depth INTEGER NOT NULL, 
	subset VARCHAR NOT NULL, 
	seed INTEGER NOT NULL, 
	origin VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	owner VARCHAR, 
	token INTEGER NOT NULL, 
	breaks INTEGER NOT NULL, 
	result_token INTEGER, 
	lease_until DATETIME, 
	optuna_number INTEGER, 
	told BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, 
	mean DOUBLE, 
	cut_seconds DOUBLE, 
	train_seconds DOUBLE, 
	evaluate_seconds DOUBLE, 
	device VARCHAR, 
	versions JSON, 
	notes VARCHAR, 
	error VARCHAR, 
	CONSTRAINT pk_search_trials PRIMARY KEY (id), 
	CONSTRAINT ck_search_trials_state CHECK (state IN ('waiting', 'running', 'complete', 'failed')), 
	CONSTRAINT fk_search_trials_study_id_depth FOREIGN KEY(study_id, depth) REFERENCES search_depths (study_id, depth) ON DELETE CASCADE, 
	CONSTRAINT uq_search_trials_study_id_subset_seed UNIQUE (study_id, subset, seed)
);
INSERT INTO "search_trials" VALUES(1,1,2,'0_2',0,'first','complete','node-1:23737:243173:boot:pid:[1]',1,0,1,NULL,0,1,'2026-11-24 08:51:14.959000','2026-11-24 08:51:14.959000','2026-11-24 08:51:14.994000',0.35,NULL,NULL,NULL,'cpu','{}',NULL,NULL);
INSERT INTO "search_trials" VALUES(2,1,2,'0_5',0,'first','failed','node-1:23737:243173:boot:pid:[1]',1,0,1,NULL,1,1,'2026-11-24 08:51:15.017000','2026-11-24 08:51:15.017000','2026-11-24 08:51:15.035000',NULL,NULL,NULL,NULL,NULL,'{}',NULL,'the table has no row for 0_5');
INSERT INTO "search_trials" VALUES(3,1,2,'0_3',0,'swap','complete','node-1:23737:243173:boot:pid:[1]',1,0,1,NULL,2,1,'2026-11-24 08:51:15.052000','2026-11-24 08:51:15.052000','2026-11-24 08:51:15.069000',0.3,NULL,NULL,NULL,'cpu','{}',NULL,NULL);
INSERT INTO "search_trials" VALUES(4,1,3,'0_1_3',0,'first','complete','node-1:23737:243173:boot:pid:[1]',1,0,1,NULL,0,1,'2026-11-24 08:51:15.087000','2026-11-24 08:51:15.087000','2026-11-24 08:51:15.104000',0.55,NULL,NULL,NULL,'cpu','{}',NULL,NULL);
INSERT INTO "search_trials" VALUES(5,1,3,'0_2_3',0,'swap','complete','node-1:23737:243173:boot:pid:[1]',1,0,1,NULL,1,1,'2026-11-24 08:51:15.122000','2026-11-24 08:51:15.122000','2026-11-24 08:51:15.141000',0.4,NULL,NULL,NULL,'cpu','{}',NULL,NULL);
INSERT INTO "search_trials" VALUES(6,1,3,'0_4_5',0,'swap','complete','node-1:23737:243173:boot:pid:[1]',1,0,1,NULL,2,1,'2026-11-24 08:51:15.160000','2026-11-24 08:51:15.160000','2026-11-24 08:51:15.179000',0.3,NULL,NULL,NULL,'cpu','{}',NULL,NULL);
INSERT INTO "search_trials" VALUES(7,1,3,'0_1_5',0,'manual','complete','node-1:23737:243173:boot:pid:[1]',1,0,1,NULL,3,1,'2026-11-24 08:51:15.256000','2026-11-24 08:51:15.256000','2026-11-24 08:51:15.286000',0.6,NULL,NULL,NULL,'cpu','{}',NULL,NULL);
INSERT INTO "search_trials" VALUES(8,1,3,'0_2_4',0,'swap','failed','node-1:23737:243173:boot:pid:[1]',4,3,4,NULL,4,1,'2026-11-24 08:51:15.320000','2026-11-24 08:51:15.369000','2026-11-24 08:51:15.397000',NULL,NULL,NULL,NULL,NULL,'{}',NULL,'its worker ended 3 times without a result');
INSERT INTO "search_trials" VALUES(9,1,3,'0_1_3',1,'swap','complete','node-1:21:1:b:p',1,0,1,NULL,NULL,0,'2026-11-24 08:51:15.432000','2026-11-24 08:51:15.432000','2026-11-24 08:51:15.437000',0.5,0.5,2.0,1.0,'cpu','{"torch": "2.13.0"}','first norm dropped',NULL);
INSERT INTO "search_trials" VALUES(10,1,3,'0_3_5',0,'swap','complete','node-1:21:1:b:p',1,0,1,NULL,NULL,0,'2026-11-24 08:51:15.442000','2026-11-24 08:51:15.442000','2026-11-24 08:51:15.443000',0.375,0.5,2.0,1.0,'cpu','{"torch": "2.13.0"}','first norm dropped',NULL);
INSERT INTO "search_trials" VALUES(11,1,2,'0_4',0,'swap','running','node-3:31:1:b:p',1,0,NULL,'2026-11-24 08:53:15.445000',NULL,0,'2026-11-24 08:51:15.445000','2026-11-24 08:51:15.445000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "search_trials" VALUES(12,1,3,'0_3_4',0,'swap','waiting',NULL,1,0,NULL,NULL,NULL,0,'2026-11-24 08:51:15.447000','2026-11-24 08:51:15.447000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'small/L2');
INSERT INTO "studies" VALUES(2,'small/L3');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
INSERT INTO "study_directions" VALUES(2,'MAXIMIZE',2,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'keep_00',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(2,1,'keep_01',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(3,1,'keep_02',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(4,1,'keep_03',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(5,1,'keep_04',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(6,1,'keep_05',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(7,2,'keep_00',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(8,2,'keep_01',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(9,2,'keep_02',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(10,2,'keep_03',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(11,2,'keep_04',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(12,2,'keep_05',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(13,3,'keep_00',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(14,3,'keep_01',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(15,3,'keep_02',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(16,3,'keep_03',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(17,3,'keep_04',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(18,3,'keep_05',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(19,4,'keep_00',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(20,4,'keep_01',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(21,4,'keep_02',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(22,4,'keep_03',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(23,4,'keep_04',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(24,4,'keep_05',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(25,5,'keep_00',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(26,5,'keep_01',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(27,5,'keep_02',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(28,5,'keep_03',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(29,5,'keep_04',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(30,5,'keep_05',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(31,6,'keep_00',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(32,6,'keep_01',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(33,6,'keep_02',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(34,6,'keep_03',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(35,6,'keep_04',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(36,6,'keep_05',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(37,7,'keep_00',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(38,7,'keep_01',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(39,7,'keep_02',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(40,7,'keep_03',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(41,7,'keep_04',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(42,7,'keep_05',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(43,8,'keep_00',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(44,8,'keep_01',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(45,8,'keep_02',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(46,8,'keep_03',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(47,8,'keep_04',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(48,8,'keep_05',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'trial','1');
INSERT INTO "trial_user_attributes" VALUES(2,1,'subset','"0_2"');
INSERT INTO "trial_user_attributes" VALUES(3,2,'trial','2');
INSERT INTO "trial_user_attributes" VALUES(4,2,'subset','"0_5"');
INSERT INTO "trial_user_attributes" VALUES(5,3,'trial','3');
INSERT INTO "trial_user_attributes" VALUES(6,3,'subset','"0_3"');
INSERT INTO "trial_user_attributes" VALUES(7,4,'trial','4');
INSERT INTO "trial_user_attributes" VALUES(8,4,'subset','"0_1_3"');
INSERT INTO "trial_user_attributes" VALUES(9,5,'trial','5');
INSERT INTO "trial_user_attributes" VALUES(10,5,'subset','"0_2_3"');
INSERT INTO "trial_user_attributes" VALUES(11,6,'trial','6');
INSERT INTO "trial_user_attributes" VALUES(12,6,'subset','"0_4_5"');
INSERT INTO "trial_user_attributes" VALUES(13,7,'trial','7');
INSERT INTO "trial_user_attributes" VALUES(14,7,'subset','"0_1_5"');
INSERT INTO "trial_user_attributes" VALUES(15,8,'trial','8');
INSERT INTO "trial_user_attributes" VALUES(16,8,'subset','"0_2_4"');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,0.35,'FINITE');
INSERT INTO "trial_values" VALUES(2,3,0,0.3,'FINITE');
INSERT INTO "trial_values" VALUES(3,4,0,0.55,'FINITE');
INSERT INTO "trial_values" VALUES(4,5,0,0.4,'FINITE');
INSERT INTO "trial_values" VALUES(5,6,0,0.3,'FINITE');
INSERT INTO "trial_values" VALUES(6,7,0,0.6,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-24 08:51:14.964578','2026-11-24 08:51:15.005881');
INSERT INTO "trials" VALUES(2,1,1,'FAIL','2026-11-24 08:51:15.019847','2026-11-24 08:51:15.041879');
INSERT INTO "trials" VALUES(3,2,1,'COMPLETE','2026-11-24 08:51:15.054160','2026-11-24 08:51:15.076685');
INSERT INTO "trials" VALUES(4,0,2,'COMPLETE','2026-11-24 08:51:15.089503','2026-11-24 08:51:15.111810');
INSERT INTO "trials" VALUES(5,1,2,'COMPLETE','2026-11-24 08:51:15.124837','2026-11-24 08:51:15.148717');
INSERT INTO "trials" VALUES(6,2,2,'COMPLETE','2026-11-24 08:51:15.162976','2026-11-24 08:51:15.186586');
INSERT INTO "trials" VALUES(7,3,2,'COMPLETE','2026-11-24 08:51:15.261171','2026-11-24 08:51:15.296298');
INSERT INTO "trials" VALUES(8,4,2,'FAIL','2026-11-24 08:51:15.372395','2026-11-24 08:51:15.405848');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
CREATE INDEX ix_search_trials_study_id_depth_state ON search_trials (study_id, depth, state);
CREATE VIEW leaderboard AS
SELECT
    study, depth,
    rank() OVER (PARTITION BY study, depth ORDER BY mean DESC) AS rank,
    subset, mean, seeds, trials, lowest, highest, origin, train_seconds, finished_at
FROM (
    SELECT
        s.name AS study,
        t.depth AS depth,
        t.subset AS subset,
        avg(t.mean) AS mean,
        count(t.mean) AS seeds,
        count(*) AS trials,
        min(t.mean) AS lowest,
        max(t.mean) AS highest,
        min(t.origin) AS origin,
        avg(CASE WHEN t.state = 'complete' THEN t.train_seconds END) AS train_seconds,
        max(t.finished_at) AS finished_at
    FROM search_trials AS t
    JOIN search_studies AS s ON s.id = t.study_id
    GROUP BY s.name, t.depth, t.subset
    HAVING count(t.mean) > 0
) AS scored;
CREATE VIEW leaderboard_by_task AS
SELECT
    l.study AS study, l.depth AS depth, l.rank AS rank, l.subset AS subset,
    k.task AS task, avg(k.score) AS score, count(*) AS seeds
FROM leaderboard AS l
JOIN search_studies AS s ON s.name = l.study
JOIN search_trials AS t
    ON t.study_id = s.id AND t.subset = l.subset AND t.state = 'complete'
JOIN search_task_scores AS k ON k.trial_id = t.id
GROUP BY l.study, l.depth, l.rank, l.subset, k.task;
CREATE VIEW query_scores AS
SELECT
    s.name AS study, t.depth AS depth, t.subset AS subset, t.seed AS seed,
    q.task AS task, q.query AS query, r.score AS score
FROM search_query_scores AS r
JOIN search_queries AS q ON q.id = r.query_id
JOIN search_trials AS t ON t.id = r.trial_id
JOIN search_studies AS s ON s.id = t.study_id;
COMMIT;
