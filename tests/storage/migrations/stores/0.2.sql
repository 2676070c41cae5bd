-- A small store that release 0.2 wrote on SQLite: a search over the evaluator table, one trial by hand,
-- one whose workers ended three times, one that runs and one that waits. Names of hosts were replaced.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE search_attempts (
	trial_id INTEGER NOT NULL, 
	token INTEGER NOT NULL, 
	owner VARCHAR NOT NULL, 
	started_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	outcome VARCHAR, 
	reason VARCHAR, 
	CONSTRAINT pk_search_attempts PRIMARY KEY (trial_id, token), 
	CONSTRAINT ck_search_attempts_outcome CHECK (outcome IN ('complete', 'failed', 'interrupted', 'broke', 'died', 'released', 'superseded')), 
	CONSTRAINT fk_search_attempts_trial_id FOREIGN KEY(trial_id) REFERENCES search_trials (id) ON DELETE CASCADE
);
INSERT INTO "search_attempts" VALUES(1,1,'node-1:23756:243365:boot:pid:[1]','2026-11-24 08:51:16.966000','2026-11-24 08:51:16.998000','complete',NULL);
INSERT INTO "search_attempts" VALUES(2,1,'node-1:23756:243365:boot:pid:[1]','2026-11-24 08:51:17.032000','2026-11-24 08:51:17.051000','failed','the table has no row for 0_5');
INSERT INTO "search_attempts" VALUES(3,1,'node-1:23756:243365:boot:pid:[1]','2026-11-24 08:51:17.062000','2026-11-24 08:51:17.080000','complete',NULL);
INSERT INTO "search_attempts" VALUES(4,1,'node-1:23756:243365:boot:pid:[1]','2026-11-24 08:51:17.346000','2026-11-24 08:51:17.364000','complete',NULL);
INSERT INTO "search_attempts" VALUES(5,1,'node-1:23756:243365:boot:pid:[1]','2026-11-24 08:51:17.382000','2026-11-24 08:51:17.401000','complete',NULL);
INSERT INTO "search_attempts" VALUES(6,1,'node-1:23756:243365:boot:pid:[1]','2026-11-24 08:51:17.418000','2026-11-24 08:51:17.437000','complete',NULL);
INSERT INTO "search_attempts" VALUES(7,1,'node-1:23756:243365:boot:pid:[1]','2026-11-24 08:51:17.780000','2026-11-24 08:51:17.809000','complete',NULL);
INSERT INTO "search_attempts" VALUES(8,1,'node-2:11:1:b:p','2026-11-24 08:51:18.102000','2026-11-24 08:51:18.107000','died','its lease ran out');
INSERT INTO "search_attempts" VALUES(8,2,'node-2:12:1:b:p','2026-11-24 08:51:18.107000','2026-11-24 08:51:18.109000','died','its lease ran out');
INSERT INTO "search_attempts" VALUES(8,3,'node-2:13:1:b:p','2026-11-24 08:51:18.109000','2026-11-24 08:51:18.158000','died','its lease ran out');
INSERT INTO "search_attempts" VALUES(8,4,'node-1:23756:243365:boot:pid:[1]','2026-11-24 08:51:18.158000','2026-11-24 08:51:18.187000','failed','set aside: its worker ended 3 times without a result');
INSERT INTO "search_attempts" VALUES(9,1,'node-1:21:1:b:p','2026-11-24 08:51:18.228000','2026-11-24 08:51:18.231000','complete',NULL);
INSERT INTO "search_attempts" VALUES(10,1,'node-1:21:1:b:p','2026-11-24 08:51:18.244000','2026-11-24 08:51:18.246000','complete',NULL);
INSERT INTO "search_attempts" VALUES(11,1,'node-3:31:1:b:p','2026-11-24 08:51:18.494000',NULL,NULL,NULL);
CREATE TABLE search_depths (
	study_id INTEGER NOT NULL, 
	depth INTEGER NOT NULL, 
	budget INTEGER NOT NULL, 
	optuna_study VARCHAR NOT NULL, taken INTEGER DEFAULT '0' NOT NULL, leader_seeds INTEGER DEFAULT '0' NOT NULL, scored INTEGER DEFAULT '0' NOT NULL, critical DOUBLE DEFAULT '0' NOT NULL, leader VARCHAR, seed_variance DOUBLE, 
	CONSTRAINT pk_search_depths PRIMARY KEY (study_id, depth), 
	CONSTRAINT fk_search_depths_study_id FOREIGN KEY(study_id) REFERENCES search_studies (id) ON DELETE CASCADE, 
	CONSTRAINT uq_search_depths_optuna_study UNIQUE (optuna_study)
);
INSERT INTO "search_depths" VALUES(1,2,6,'small/L2',4,1,2,2.131847381591796875e+00,'0_2',NULL);
INSERT INTO "search_depths" VALUES(1,3,9,'small/L3',6,1,5,3.07562160491943359375e+00,'0_1_5',1.25000000000000219442e-03);
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
INSERT INTO "search_query_scores" VALUES(1,1,0.158066637735383);
INSERT INTO "search_query_scores" VALUES(1,2,2.25200879615256255306e-01);
INSERT INTO "search_query_scores" VALUES(1,3,4.79232482649360747029e-01);
INSERT INTO "search_query_scores" VALUES(1,4,2.00996228789721564922e-02);
INSERT INTO "search_query_scores" VALUES(1,5,1.12677657201868153258e+00);
INSERT INTO "search_query_scores" VALUES(1,6,0.0906238051023463);
INSERT INTO "search_query_scores" VALUES(3,1,1.50738410285338186866e-02);
INSERT INTO "search_query_scores" VALUES(3,2,9.83371184474101101002e-02);
INSERT INTO "search_query_scores" VALUES(3,3,5.99089040524056093417e-01);
INSERT INTO "search_query_scores" VALUES(3,4,-3.20742350867278536163e-02);
INSERT INTO "search_query_scores" VALUES(3,5,8.7811651521021483191e-01);
INSERT INTO "search_query_scores" VALUES(3,6,2.41457719876513016155e-01);
INSERT INTO "search_query_scores" VALUES(4,1,4.88102925841829737851e-01);
INSERT INTO "search_query_scores" VALUES(4,2,2.77129211579085321659e-01);
INSERT INTO "search_query_scores" VALUES(4,3,6.97267862579084907181e-01);
INSERT INTO "search_query_scores" VALUES(4,4,2.89212106882563935172e-01);
INSERT INTO "search_query_scores" VALUES(4,5,1.03930500311183648953e+00);
INSERT INTO "search_query_scores" VALUES(4,6,5.08982890005599819538e-01);
INSERT INTO "search_query_scores" VALUES(5,1,3.29490621526788873829e-01);
INSERT INTO "search_query_scores" VALUES(5,2,1.33592653279940798416e-01);
INSERT INTO "search_query_scores" VALUES(5,3,5.49416725193270449878e-01);
INSERT INTO "search_query_scores" VALUES(5,4,1.0775174702394291204e-01);
INSERT INTO "search_query_scores" VALUES(5,5,1.05534208191054790226e+00);
INSERT INTO "search_query_scores" VALUES(5,6,2.24406171065509196793e-01);
INSERT INTO "search_query_scores" VALUES(6,1,1.2520116989642138261e-01);
INSERT INTO "search_query_scores" VALUES(6,2,5.53757782704543122243e-02);
INSERT INTO "search_query_scores" VALUES(6,3,5.31923051833124160836e-01);
INSERT INTO "search_query_scores" VALUES(6,4,4.02797012340955218334e-02);
INSERT INTO "search_query_scores" VALUES(6,5,0.909491664278678);
INSERT INTO "search_query_scores" VALUES(6,6,1.37728634487226386795e-01);
INSERT INTO "search_query_scores" VALUES(7,1,4.64771982776318037799e-01);
INSERT INTO "search_query_scores" VALUES(7,2,4.46866761427589853639e-01);
INSERT INTO "search_query_scores" VALUES(7,3,0.700861255796092);
INSERT INTO "search_query_scores" VALUES(7,4,3.15194654433278320659e-01);
INSERT INTO "search_query_scores" VALUES(7,5,1.13448646806709807499e+00);
INSERT INTO "search_query_scores" VALUES(7,6,5.37818877499623648752e-01);
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
INSERT INTO "search_schema_version" VALUES('0002');
CREATE TABLE search_standings (
	study_id INTEGER NOT NULL, 
	subset VARCHAR NOT NULL, 
	depth INTEGER NOT NULL, 
	gaps INTEGER NOT NULL, 
	layers VARCHAR NOT NULL, 
	origin VARCHAR NOT NULL, 
	mean DOUBLE NOT NULL, 
	seeds INTEGER NOT NULL, 
	squares DOUBLE NOT NULL, 
	lowest DOUBLE NOT NULL, 
	highest DOUBLE NOT NULL, 
	train_seconds DOUBLE, 
	finished_at DATETIME NOT NULL, 
	variance DOUBLE, 
	variance_seeds INTEGER, 
	difference_variance DOUBLE, 
	difference_seeds INTEGER, 
	compared_to VARCHAR, 
	compared_seeds INTEGER, 
	CONSTRAINT pk_search_standings PRIMARY KEY (study_id, subset), 
	CONSTRAINT fk_search_standings_study_id_depth FOREIGN KEY(study_id, depth) REFERENCES search_depths (study_id, depth) ON DELETE CASCADE
);
INSERT INTO "search_standings" VALUES(1,'0_2',2,1,'000002','first',0.35,1,0.0,0.35,0.35,NULL,'2026-11-24 08:51:16.997000',3.43820367796666553905e-02,1,0.0,1,'0_2',1);
INSERT INTO "search_standings" VALUES(1,'0_3',2,1,'000003','swap',0.3,1,0.0,0.3,0.3,NULL,'2026-11-24 08:51:17.080000',2.64911162230509339421e-02,1,0.00513382305943268,1,'0_2',1);
INSERT INTO "search_standings" VALUES(1,'0_1_3',3,1,'000001003','first',0.525,2,1.25000000000000219442e-03,0.5,0.55,2.0,'2026-11-24 08:51:18.230000',1.60688397037751576346e-02,1,1.03892497628008703518e-03,1,'0_1_5',1);
INSERT INTO "search_standings" VALUES(1,'0_2_3',3,1,'000002003','swap',0.4,1,0.0,0.4,0.4,NULL,'2026-11-24 08:51:17.400000',2.58561576273693971561e-02,1,1.95421156815129681144e-03,1,'0_1_5',1);
INSERT INTO "search_standings" VALUES(1,'0_4_5',3,1,'000004005','swap',0.3,1,0.0,0.3,0.3,NULL,'2026-11-24 08:51:17.436000',0.0244172150548158,1,1.80778080789604838826e-03,1,'0_1_5',1);
INSERT INTO "search_standings" VALUES(1,'0_1_5',3,1,'000001005','manual',0.6,1,0.0,0.6,0.6,NULL,'2026-11-24 08:51:17.808000',1.66303441551797978603e-02,1,0.0,1,'0_1_5',1);
INSERT INTO "search_standings" VALUES(1,'0_3_5',3,2,'000003005','swap',0.375,1,0.0,0.375,0.375,2.0,'2026-11-24 08:51:18.246000',NULL,NULL,NULL,NULL,NULL,NULL);
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
	created_at DATETIME NOT NULL, uid VARCHAR DEFAULT '' NOT NULL, versions JSON, 
	CONSTRAINT pk_search_studies PRIMARY KEY (id), 
	CONSTRAINT uq_search_studies_name UNIQUE (name)
);
INSERT INTO "search_studies" VALUES(1,'small','{"study": {"name": "small", "depths": [2, 3], "trials": {"2": 3, "3": 3}, "seed": 0, "attempts": 3, "first": ["0_2", "0_5", "0_1_3"]}, "space": {"cadence": "free", "period": null, "keep_first": true, "pinned": [], "forbidden": []}, "base": null, "sampler": {"name": "swap", "startup": 8, "explore": 0.1}, "evaluator": {"name": "table", "path": "small.csv", "layers": 6, "period": null, "noise": 0.0, "seconds": 0.0, "queries": 3}}','/studies','7fdd9e20205918466e759c196ae9d7bcd6cc9b2ab48ab52d9d73f2633983765d','small',6,NULL,'{"table": "74424fd3136ddd7cac48d1372be0fa53720dda8f2f44b2c59afe819589b8f1b6"}','2026-11-24 08:51:16.887000','5d1af596967e43a1b4e7cd295a465bee','{}');
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
	crashes INTEGER NOT NULL, 
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
	error VARCHAR, drift VARCHAR, 
	CONSTRAINT pk_search_trials PRIMARY KEY (id), 
	CONSTRAINT ck_search_trials_state CHECK (state IN ('waiting', 'running', 'complete', 'failed')), 
	CONSTRAINT fk_search_trials_study_id_depth FOREIGN KEY(study_id, depth) REFERENCES search_depths (study_id, depth) ON DELETE CASCADE, 
	CONSTRAINT uq_search_trials_study_id_subset_seed UNIQUE (study_id, subset, seed)
);
INSERT INTO "search_trials" VALUES(1,1,2,'0_2',0,'first','complete','node-1:23756:243365:boot:pid:[1]',1,0,1,NULL,0,1,'2026-11-24 08:51:16.965000','2026-11-24 08:51:16.965000','2026-11-24 08:51:16.997000',0.35,NULL,NULL,2.03240999780973652377e-04,'cpu','{}',NULL,NULL,NULL);
INSERT INTO "search_trials" VALUES(2,1,2,'0_5',0,'first','failed','node-1:23756:243365:boot:pid:[1]',1,0,1,NULL,1,1,'2026-11-24 08:51:17.032000','2026-11-24 08:51:17.032000','2026-11-24 08:51:17.050000',NULL,NULL,NULL,NULL,NULL,'{}',NULL,'the table has no row for 0_5',NULL);
INSERT INTO "search_trials" VALUES(3,1,2,'0_3',0,'swap','complete','node-1:23756:243365:boot:pid:[1]',1,0,1,NULL,2,1,'2026-11-24 08:51:17.062000','2026-11-24 08:51:17.062000','2026-11-24 08:51:17.080000',0.3,NULL,NULL,2.01398000172048341482e-04,'cpu','{}',NULL,NULL,NULL);
INSERT INTO "search_trials" VALUES(4,1,3,'0_1_3',0,'first','complete','node-1:23756:243365:boot:pid:[1]',1,0,1,NULL,0,1,'2026-11-24 08:51:17.345000','2026-11-24 08:51:17.345000','2026-11-24 08:51:17.364000',0.55,NULL,NULL,2.1974099990984541364e-04,'cpu','{}',NULL,NULL,NULL);
INSERT INTO "search_trials" VALUES(5,1,3,'0_2_3',0,'swap','complete','node-1:23756:243365:boot:pid:[1]',1,0,1,NULL,1,1,'2026-11-24 08:51:17.382000','2026-11-24 08:51:17.382000','2026-11-24 08:51:17.400000',0.4,NULL,NULL,1.94544999885692959651e-04,'cpu','{}',NULL,NULL,NULL);
INSERT INTO "search_trials" VALUES(6,1,3,'0_4_5',0,'swap','complete','node-1:23756:243365:boot:pid:[1]',1,0,1,NULL,2,1,'2026-11-24 08:51:17.418000','2026-11-24 08:51:17.418000','2026-11-24 08:51:17.436000',0.3,NULL,NULL,1.78355000116425799205e-04,'cpu','{}',NULL,NULL,NULL);
INSERT INTO "search_trials" VALUES(7,1,3,'0_1_5',0,'manual','complete','node-1:23756:243365:boot:pid:[1]',1,0,1,NULL,3,1,'2026-11-24 08:51:17.779000','2026-11-24 08:51:17.779000','2026-11-24 08:51:17.808000',0.6,NULL,NULL,1.8091999982061679475e-04,'cpu','{}',NULL,NULL,NULL);
INSERT INTO "search_trials" VALUES(8,1,3,'0_2_4',0,'swap','failed','node-1:23756:243365:boot:pid:[1]',4,3,4,NULL,4,1,'2026-11-24 08:51:18.102000','2026-11-24 08:51:18.157000','2026-11-24 08:51:18.186000',NULL,NULL,NULL,NULL,NULL,'{}',NULL,'set aside: its worker ended 3 times without a result',NULL);
INSERT INTO "search_trials" VALUES(9,1,3,'0_1_3',1,'swap','complete','node-1:21:1:b:p',1,0,1,NULL,NULL,0,'2026-11-24 08:51:18.228000','2026-11-24 08:51:18.228000','2026-11-24 08:51:18.230000',0.5,0.5,2.0,1.0,'cpu','{"torch": "2.13.0"}','first norm dropped',NULL,NULL);
INSERT INTO "search_trials" VALUES(10,1,3,'0_3_5',0,'swap','complete','node-1:21:1:b:p',1,0,1,NULL,NULL,0,'2026-11-24 08:51:18.244000','2026-11-24 08:51:18.244000','2026-11-24 08:51:18.246000',0.375,0.5,2.0,1.0,'cpu','{"torch": "2.13.0"}','first norm dropped',NULL,NULL);
INSERT INTO "search_trials" VALUES(11,1,2,'0_4',0,'swap','running','node-3:31:1:b:p',1,0,NULL,'2026-11-24 08:53:18.494000',NULL,0,'2026-11-24 08:51:18.494000','2026-11-24 08:51:18.494000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "search_trials" VALUES(12,1,3,'0_1_5',1,'replicate','waiting',NULL,0,0,NULL,NULL,NULL,0,'2026-11-24 08:51:18.496000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-24 08:51:16.966769','2026-11-24 08:51:17.021902');
INSERT INTO "trials" VALUES(2,1,1,'FAIL','2026-11-24 08:51:17.032758','2026-11-24 08:51:17.055344');
INSERT INTO "trials" VALUES(3,2,1,'COMPLETE','2026-11-24 08:51:17.063295','2026-11-24 08:51:17.335939');
INSERT INTO "trials" VALUES(4,0,2,'COMPLETE','2026-11-24 08:51:17.346648','2026-11-24 08:51:17.373706');
INSERT INTO "trials" VALUES(5,1,2,'COMPLETE','2026-11-24 08:51:17.383088','2026-11-24 08:51:17.409949');
INSERT INTO "trials" VALUES(6,2,2,'COMPLETE','2026-11-24 08:51:17.419135','2026-11-24 08:51:17.694565');
INSERT INTO "trials" VALUES(7,3,2,'COMPLETE','2026-11-24 08:51:17.781783','2026-11-24 08:51:18.075884');
INSERT INTO "trials" VALUES(8,4,2,'FAIL','2026-11-24 08:51:18.161994','2026-11-24 08:51:18.195082');
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
CREATE UNIQUE INDEX ix_search_studies_uid ON search_studies (uid);
CREATE INDEX ix_search_trials_study_id ON search_trials (study_id) WHERE told = 0;
CREATE INDEX ix_search_standings_study_id_depth_mean ON search_standings (study_id, depth, mean);
CREATE INDEX ix_search_standings_study_id_depth ON search_standings (study_id, depth) WHERE seeds > 1;
CREATE VIEW leaderboard AS
SELECT
    study, depth,
    rank() OVER (PARTITION BY study, depth ORDER BY mean DESC) AS rank,
    subset, mean, seeds, standard_error, query_error, seed_error,
    difference, difference_error, tied, gaps, lowest, highest, origin, train_seconds, finished_at
FROM (
SELECT
    study, depth, subset, mean, seeds, standard_error, query_error, seed_error,
    leader, leader_mean, mean - leader_mean AS difference, difference_error,
    CASE
        WHEN subset = leader THEN 1
        WHEN difference_error IS NULL THEN NULL
        WHEN leader_mean - mean <= critical * difference_error THEN 1
        ELSE 0
    END AS tied,
    gaps, layers, lowest, highest, origin, train_seconds, finished_at
FROM (
    SELECT
        scored.*,
        sqrt(query_variance) AS query_error,
        sqrt(seed_variance) AS seed_error,
        sqrt(coalesce(query_variance + seed_variance, query_variance, seed_variance))
            AS standard_error,
        CASE
            WHEN subset = leader THEN 0.0
            ELSE sqrt(coalesce(
                query_difference_variance + seed_difference_variance,
                query_difference_variance, seed_difference_variance
            ))
        END AS difference_error
    FROM (
    SELECT
        s.name AS study, x.depth AS depth, x.subset AS subset, x.gaps AS gaps, x.layers AS layers,
        x.mean AS mean, x.seeds AS seeds, x.lowest AS lowest, x.highest AS highest,
        x.origin AS origin, x.train_seconds AS train_seconds, x.finished_at AS finished_at,
        d.leader AS leader, d.critical AS critical, best.mean AS leader_mean,
        d.seed_variance / x.seeds AS seed_variance,
        d.seed_variance * (1.0 / x.seeds + 1.0 / d.leader_seeds) AS seed_difference_variance,
        CASE
            WHEN x.variance_seeds = x.seeds THEN x.variance
            ELSE coalesce((
    SELECT CASE
        WHEN min(n) > 1 THEN sum(abs(squares - total * total / n) / nullif(n - 1, 0) / n) / count(*) / count(*)
        WHEN count(*) > 1 THEN
            abs(sum(mean * mean) - sum(mean) * sum(mean) / count(*))
            / nullif(count(*) - 1, 0) / count(*)
    END
    FROM (
        SELECT count(value) AS n, sum(value) AS total, sum(value * value) AS squares,
               avg(value) AS mean
        FROM (
            SELECT q.task AS task, avg(r.score) AS value
            FROM search_trials AS t
            JOIN search_query_scores AS r ON r.trial_id = t.id
            JOIN search_queries AS q ON q.id = r.query_id
            WHERE t.study_id = x.study_id AND t.subset IN (x.subset) AND t.state = 'complete'
            GROUP BY q.task, r.query_id) AS per_query
        GROUP BY task
        HAVING count(value) > 0
    ) AS per_task), (
    SELECT CASE
        WHEN min(n) > 1 THEN sum(abs(squares - total * total / n) / nullif(n - 1, 0) / n) / count(*) / count(*)
        WHEN count(*) > 1 THEN
            abs(sum(mean * mean) - sum(mean) * sum(mean) / count(*))
            / nullif(count(*) - 1, 0) / count(*)
    END
    FROM (
        SELECT count(value) AS n, sum(value) AS total, sum(value * value) AS squares,
               avg(value) AS mean
        FROM (
            SELECT r.task AS task, avg(r.score) AS value
            FROM search_trials AS t
            JOIN search_task_scores AS r ON r.trial_id = t.id
            WHERE t.study_id = x.study_id AND t.subset IN (x.subset) AND t.state = 'complete'
            GROUP BY r.task) AS per_query
        GROUP BY task
        HAVING count(value) > 0
    ) AS per_task))
        END AS query_variance,
        CASE
            WHEN x.compared_to = d.leader AND x.compared_seeds = d.leader_seeds
                AND x.difference_seeds = x.seeds THEN x.difference_variance
            ELSE coalesce((
    SELECT CASE
        WHEN min(n) > 1 THEN sum(abs(squares - total * total / n) / nullif(n - 1, 0) / n) / count(*) / count(*)
        WHEN count(*) > 1 THEN
            abs(sum(mean * mean) - sum(mean) * sum(mean) / count(*))
            / nullif(count(*) - 1, 0) / count(*)
    END
    FROM (
        SELECT count(value) AS n, sum(value) AS total, sum(value * value) AS squares,
               avg(value) AS mean
        FROM (
            SELECT q.task AS task, avg(CASE WHEN t.subset = x.subset THEN r.score END) - avg(CASE WHEN t.subset = d.leader THEN r.score END) AS value
            FROM search_trials AS t
            JOIN search_query_scores AS r ON r.trial_id = t.id
            JOIN search_queries AS q ON q.id = r.query_id
            WHERE t.study_id = x.study_id AND t.subset IN (x.subset, d.leader) AND t.state = 'complete'
            GROUP BY q.task, r.query_id) AS per_query
        GROUP BY task
        HAVING count(value) > 0
    ) AS per_task), (
    SELECT CASE
        WHEN min(n) > 1 THEN sum(abs(squares - total * total / n) / nullif(n - 1, 0) / n) / count(*) / count(*)
        WHEN count(*) > 1 THEN
            abs(sum(mean * mean) - sum(mean) * sum(mean) / count(*))
            / nullif(count(*) - 1, 0) / count(*)
    END
    FROM (
        SELECT count(value) AS n, sum(value) AS total, sum(value * value) AS squares,
               avg(value) AS mean
        FROM (
            SELECT r.task AS task, avg(CASE WHEN t.subset = x.subset THEN r.score END) - avg(CASE WHEN t.subset = d.leader THEN r.score END) AS value
            FROM search_trials AS t
            JOIN search_task_scores AS r ON r.trial_id = t.id
            WHERE t.study_id = x.study_id AND t.subset IN (x.subset, d.leader) AND t.state = 'complete'
            GROUP BY r.task) AS per_query
        GROUP BY task
        HAVING count(value) > 0
    ) AS per_task))
        END AS query_difference_variance
    FROM search_standings AS x
    JOIN search_studies AS s ON s.id = x.study_id
    JOIN search_depths AS d ON d.study_id = x.study_id AND d.depth = x.depth
    JOIN search_standings AS best ON best.study_id = d.study_id AND best.subset = d.leader
) AS scored
) AS judged
) AS ranked;
CREATE VIEW best_per_depth AS
SELECT
    study, depth, count(*) AS subsets, max(leader) AS leader, max(leader_mean) AS leader_mean,
    CASE WHEN count(tied) = count(*) THEN sum(tied) END AS tied,
    max(CASE WHEN place = 1 THEN subset END) AS pick,
    max(CASE WHEN place = 1 THEN mean END) AS pick_mean
FROM (
    SELECT
        study, depth, subset, mean, tied, leader, leader_mean,
        row_number() OVER (
            PARTITION BY study, depth
            ORDER BY CASE WHEN tied = 1 THEN 0 ELSE 1 END, gaps, layers
        ) AS place
    FROM (
SELECT
    study, depth, subset, mean, seeds, standard_error, query_error, seed_error,
    leader, leader_mean, mean - leader_mean AS difference, difference_error,
    CASE
        WHEN subset = leader THEN 1
        WHEN difference_error IS NULL THEN NULL
        WHEN leader_mean - mean <= critical * difference_error THEN 1
        ELSE 0
    END AS tied,
    gaps, layers, lowest, highest, origin, train_seconds, finished_at
FROM (
    SELECT
        scored.*,
        sqrt(query_variance) AS query_error,
        sqrt(seed_variance) AS seed_error,
        sqrt(coalesce(query_variance + seed_variance, query_variance, seed_variance))
            AS standard_error,
        CASE
            WHEN subset = leader THEN 0.0
            ELSE sqrt(coalesce(
                query_difference_variance + seed_difference_variance,
                query_difference_variance, seed_difference_variance
            ))
        END AS difference_error
    FROM (
    SELECT
        s.name AS study, x.depth AS depth, x.subset AS subset, x.gaps AS gaps, x.layers AS layers,
        x.mean AS mean, x.seeds AS seeds, x.lowest AS lowest, x.highest AS highest,
        x.origin AS origin, x.train_seconds AS train_seconds, x.finished_at AS finished_at,
        d.leader AS leader, d.critical AS critical, best.mean AS leader_mean,
        d.seed_variance / x.seeds AS seed_variance,
        d.seed_variance * (1.0 / x.seeds + 1.0 / d.leader_seeds) AS seed_difference_variance,
        CASE
            WHEN x.variance_seeds = x.seeds THEN x.variance
            ELSE coalesce((
    SELECT CASE
        WHEN min(n) > 1 THEN sum(abs(squares - total * total / n) / nullif(n - 1, 0) / n) / count(*) / count(*)
        WHEN count(*) > 1 THEN
            abs(sum(mean * mean) - sum(mean) * sum(mean) / count(*))
            / nullif(count(*) - 1, 0) / count(*)
    END
    FROM (
        SELECT count(value) AS n, sum(value) AS total, sum(value * value) AS squares,
               avg(value) AS mean
        FROM (
            SELECT q.task AS task, avg(r.score) AS value
            FROM search_trials AS t
            JOIN search_query_scores AS r ON r.trial_id = t.id
            JOIN search_queries AS q ON q.id = r.query_id
            WHERE t.study_id = x.study_id AND t.subset IN (x.subset) AND t.state = 'complete'
            GROUP BY q.task, r.query_id) AS per_query
        GROUP BY task
        HAVING count(value) > 0
    ) AS per_task), (
    SELECT CASE
        WHEN min(n) > 1 THEN sum(abs(squares - total * total / n) / nullif(n - 1, 0) / n) / count(*) / count(*)
        WHEN count(*) > 1 THEN
            abs(sum(mean * mean) - sum(mean) * sum(mean) / count(*))
            / nullif(count(*) - 1, 0) / count(*)
    END
    FROM (
        SELECT count(value) AS n, sum(value) AS total, sum(value * value) AS squares,
               avg(value) AS mean
        FROM (
            SELECT r.task AS task, avg(r.score) AS value
            FROM search_trials AS t
            JOIN search_task_scores AS r ON r.trial_id = t.id
            WHERE t.study_id = x.study_id AND t.subset IN (x.subset) AND t.state = 'complete'
            GROUP BY r.task) AS per_query
        GROUP BY task
        HAVING count(value) > 0
    ) AS per_task))
        END AS query_variance,
        CASE
            WHEN x.compared_to = d.leader AND x.compared_seeds = d.leader_seeds
                AND x.difference_seeds = x.seeds THEN x.difference_variance
            ELSE coalesce((
    SELECT CASE
        WHEN min(n) > 1 THEN sum(abs(squares - total * total / n) / nullif(n - 1, 0) / n) / count(*) / count(*)
        WHEN count(*) > 1 THEN
            abs(sum(mean * mean) - sum(mean) * sum(mean) / count(*))
            / nullif(count(*) - 1, 0) / count(*)
    END
    FROM (
        SELECT count(value) AS n, sum(value) AS total, sum(value * value) AS squares,
               avg(value) AS mean
        FROM (
            SELECT q.task AS task, avg(CASE WHEN t.subset = x.subset THEN r.score END) - avg(CASE WHEN t.subset = d.leader THEN r.score END) AS value
            FROM search_trials AS t
            JOIN search_query_scores AS r ON r.trial_id = t.id
            JOIN search_queries AS q ON q.id = r.query_id
            WHERE t.study_id = x.study_id AND t.subset IN (x.subset, d.leader) AND t.state = 'complete'
            GROUP BY q.task, r.query_id) AS per_query
        GROUP BY task
        HAVING count(value) > 0
    ) AS per_task), (
    SELECT CASE
        WHEN min(n) > 1 THEN sum(abs(squares - total * total / n) / nullif(n - 1, 0) / n) / count(*) / count(*)
        WHEN count(*) > 1 THEN
            abs(sum(mean * mean) - sum(mean) * sum(mean) / count(*))
            / nullif(count(*) - 1, 0) / count(*)
    END
    FROM (
        SELECT count(value) AS n, sum(value) AS total, sum(value * value) AS squares,
               avg(value) AS mean
        FROM (
            SELECT r.task AS task, avg(CASE WHEN t.subset = x.subset THEN r.score END) - avg(CASE WHEN t.subset = d.leader THEN r.score END) AS value
            FROM search_trials AS t
            JOIN search_task_scores AS r ON r.trial_id = t.id
            WHERE t.study_id = x.study_id AND t.subset IN (x.subset, d.leader) AND t.state = 'complete'
            GROUP BY r.task) AS per_query
        GROUP BY task
        HAVING count(value) > 0
    ) AS per_task))
        END AS query_difference_variance
    FROM search_standings AS x
    JOIN search_studies AS s ON s.id = x.study_id
    JOIN search_depths AS d ON d.study_id = x.study_id AND d.depth = x.depth
    JOIN search_standings AS best ON best.study_id = d.study_id AND best.subset = d.leader
) AS scored
) AS judged
) AS ranked
) AS placed
GROUP BY study, depth;
CREATE VIEW leaderboard_by_task AS
SELECT
    s.name AS study, l.depth AS depth, l.rank AS rank, l.subset AS subset,
    k.task AS task, avg(k.score) AS score, count(*) AS seeds
FROM (
    SELECT study_id, depth, subset,
           rank() OVER (PARTITION BY study_id, depth ORDER BY mean DESC) AS rank
    FROM search_standings
) AS l
JOIN search_studies AS s ON s.id = l.study_id
JOIN search_trials AS t
    ON t.study_id = l.study_id AND t.subset = l.subset AND t.state = 'complete'
JOIN search_task_scores AS k ON k.trial_id = t.id
GROUP BY s.name, l.depth, l.rank, l.subset, k.task;
CREATE VIEW query_scores AS
SELECT
    s.name AS study, t.depth AS depth, t.subset AS subset, t.seed AS seed,
    q.task AS task, q.query AS query, r.score AS score
FROM search_query_scores AS r
JOIN search_queries AS q ON q.id = r.query_id
JOIN search_trials AS t ON t.id = r.trial_id
JOIN search_studies AS s ON s.id = t.study_id;
CREATE VIEW attempts AS
SELECT
    s.name AS study, t.depth AS depth, t.subset AS subset, t.seed AS seed, a.token AS attempt,
    a.owner AS worker, a.started_at AS started_at, a.ended_at AS ended_at,
    coalesce(a.outcome, 'running') AS outcome, a.reason AS reason
FROM search_attempts AS a
JOIN search_trials AS t ON t.id = a.trial_id
JOIN search_studies AS s ON s.id = t.study_id;
COMMIT;
