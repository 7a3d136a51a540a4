BEGIN TRANSACTION;
CREATE TABLE approvals (
	id INTEGER NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	at DATETIME NOT NULL, 
	variant VARCHAR(200) NOT NULL, 
	strategy_version VARCHAR(200) NOT NULL, 
	commit_id VARCHAR(200) NOT NULL, 
	person VARCHAR(200) NOT NULL, 
	reason TEXT NOT NULL, 
	prev_hash VARCHAR(64) NOT NULL, 
	row_hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT approvals_once UNIQUE (variant, strategy_version, commit_id, person)
);
INSERT INTO "approvals" VALUES(1,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','risk1','v1','one','Ada','looks right','0000000000000000000000000000000000000000000000000000000000000000','d708d7f900dd7d6a34e2b7e0d23fe94b2ca64cde3bb55bf6f896336fb95d633d');
INSERT INTO "approvals" VALUES(2,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','risk1','v1','two','Ada','looks right','d708d7f900dd7d6a34e2b7e0d23fe94b2ca64cde3bb55bf6f896336fb95d633d','0734a54cbe31dd9dedea2c7876426140d48427e61271a79c93db0bcf8c46d670');
INSERT INTO "approvals" VALUES(3,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','risk1','v1','three','Ada','looks right','0734a54cbe31dd9dedea2c7876426140d48427e61271a79c93db0bcf8c46d670','cb3197265aed7169ff1bcb720a9e9a161ea286c3997d248879c2c7f0a63c12d1');
CREATE TABLE backtest_results (
	id INTEGER NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	variant VARCHAR(200) NOT NULL, 
	strategy_version VARCHAR(200) NOT NULL, 
	session DATE NOT NULL, 
	horizon VARCHAR(200) NOT NULL, 
	commit_id VARCHAR(200) NOT NULL, 
	metrics TEXT NOT NULL, 
	content_hash VARCHAR(64) NOT NULL, 
	prev_hash VARCHAR(64) NOT NULL, 
	row_hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (content_hash)
);
INSERT INTO "backtest_results" VALUES(1,'2024-03-01 21:00:00.000000','risk1','v1','2024-03-01','1m','one','{"sharpe":1.25}','69c608dab88873a72c5e8f188e5dd1399a93bcdee44be6cb6f1b6f492995145f','0000000000000000000000000000000000000000000000000000000000000000','e94dc76f2f4d811d7294dc626f310d3636a11f6fccfa8528ac67dbfa4e0a9669');
INSERT INTO "backtest_results" VALUES(2,'2024-03-01 21:00:00.000000','risk1','v1','2024-03-01','1m','two','{"sharpe":1.25}','7300448361d93877fdd4e67eac0fb6d063ad668b13f0e24b99634ff91010dadc','e94dc76f2f4d811d7294dc626f310d3636a11f6fccfa8528ac67dbfa4e0a9669','5fcd4213551cd85e11e7755ee23a92f8a207e962a7946821aa99393e179cf904');
INSERT INTO "backtest_results" VALUES(3,'2024-03-01 21:00:00.000000','risk1','v1','2024-03-01','1m','three','{"sharpe":1.25}','828d23dec149f5a67441ead6b02ead3ade066b88ce1b4ea3076f7c038ca3007b','5fcd4213551cd85e11e7755ee23a92f8a207e962a7946821aa99393e179cf904','f13ea4cc9ca70a8d8db1ea6e57699f2562b0ce52d94172276e9519015735d68a');
CREATE TABLE checkpoints (
	id INTEGER NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	heads TEXT NOT NULL, 
	prev_hash VARCHAR(64) NOT NULL, 
	row_hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "checkpoints" VALUES(1,'2024-03-01 21:00:00.000000','{"order_events":[1,"4347f41e9086ba1701eb450651d64454284a4ea3b633b2d1b86dbd36a57c08f7"],"order_intents":[1,"e5d61fd789384deb9c5c89c18e11416c40e85b58b43648c05bbe3cffe80e0bd9"]}','0000000000000000000000000000000000000000000000000000000000000000','5e01f905ed6f46ba8a416546467895029d0eae68e8e574dfcbba719d59c0a074');
INSERT INTO "checkpoints" VALUES(2,'2024-03-01 21:00:00.000000','{"order_events":[2,"fd4a38361e8368ef04da7790c9e35ccce63c1aaa2db0397606de9122dbb0c1cb"]}','5e01f905ed6f46ba8a416546467895029d0eae68e8e574dfcbba719d59c0a074','5f3e51e84fc69714c229afe3919d85aacc74653a291af2046e331c628d137dee');
INSERT INTO "checkpoints" VALUES(3,'2024-03-01 21:00:00.000000','{"order_events":[3,"830e801cacf05916a81a461b53b1325b301205203b58f4b4d3c41b61e5105157"]}','5f3e51e84fc69714c229afe3919d85aacc74653a291af2046e331c628d137dee','3294c4302346f8ab982d5a5b8d93c30fad78042ab423777daa9f81d7fd12b9fb');
INSERT INTO "checkpoints" VALUES(4,'2024-03-01 21:00:00.000000','{"order_events":[4,"580e7487ea88cc27023537b3092e513c24618ce7ed48c5a7302be221bf1de3da"]}','3294c4302346f8ab982d5a5b8d93c30fad78042ab423777daa9f81d7fd12b9fb','e0c0411c124fd4adbe34ea3c352fdfe62728266269108f329944a1803987198f');
INSERT INTO "checkpoints" VALUES(5,'2024-03-01 21:00:00.000000','{"fills":[1,"c22bfe884c37251b83259d433abfc9aa26f3341d05ed998cb65c399a74f53721"]}','e0c0411c124fd4adbe34ea3c352fdfe62728266269108f329944a1803987198f','f071c364f169bee2e901c523b6a4999253c44d9c49d9ab6a5f2a697108d6ffbe');
INSERT INTO "checkpoints" VALUES(6,'2024-03-01 21:00:00.000000','{"fills":[2,"fcd995da13c6d59066646320e01eeed969e9a73db04b2296c5d887b2812215b7"]}','f071c364f169bee2e901c523b6a4999253c44d9c49d9ab6a5f2a697108d6ffbe','68f7fd6cf8f37c56eb8936e47d7d79ab5889d6ccc0e5ee921a262ea76e4b0060');
INSERT INTO "checkpoints" VALUES(7,'2024-03-01 21:00:00.000000','{"risk_events":[1,"043956a5dcbb4b11ed11de6722ef6d8a82c70fb725bb6628d791feeb8c2bfbd0"]}','68f7fd6cf8f37c56eb8936e47d7d79ab5889d6ccc0e5ee921a262ea76e4b0060','26e79fae20b65da6efaee353758b802f9f0b5928309435634d60bda07a896a16');
INSERT INTO "checkpoints" VALUES(8,'2024-03-01 21:00:00.000000','{"kill_switch_events":[1,"3d86cb3ae62b90a611dac513af5866b0ff30cf76469e06df909fd71444926960"]}','26e79fae20b65da6efaee353758b802f9f0b5928309435634d60bda07a896a16','0af1e1d7d1176663d382f361b5445a5b7e0883e53fcd247927e573d27d4dd370');
INSERT INTO "checkpoints" VALUES(9,'2024-03-01 21:00:00.000000','{"promotion_decisions":[1,"7e606496dd9808bdcbf1062e923d11a9c6728fcf620d1fd30526cfa441ac2343"]}','0af1e1d7d1176663d382f361b5445a5b7e0883e53fcd247927e573d27d4dd370','417b22ec1e29a77c2fd32bfbf32d70e1d634a6ce152e2cb02cc29ada0c1737f5');
INSERT INTO "checkpoints" VALUES(10,'2024-03-01 21:00:00.000000','{"approvals":[1,"d708d7f900dd7d6a34e2b7e0d23fe94b2ca64cde3bb55bf6f896336fb95d633d"]}','417b22ec1e29a77c2fd32bfbf32d70e1d634a6ce152e2cb02cc29ada0c1737f5','5694d9b03c23d3991c27e4e8d8eb2e7865bd2d0f4f0d66b2eb0b6a8c3a96363b');
INSERT INTO "checkpoints" VALUES(11,'2024-03-01 21:00:00.000000','{"backtest_results":[1,"e94dc76f2f4d811d7294dc626f310d3636a11f6fccfa8528ac67dbfa4e0a9669"]}','5694d9b03c23d3991c27e4e8d8eb2e7865bd2d0f4f0d66b2eb0b6a8c3a96363b','9c1e37ef4c3cd50a4c0816d4f1e5f4d44ed86301438816cdb67a27fb5827a478');
INSERT INTO "checkpoints" VALUES(12,'2024-03-01 21:00:00.000000','{"risk_events":[2,"6b18de21d8ab90ffd8c2b86122ae49ce40a2c129292ce4662db5567723e0ea05"]}','9c1e37ef4c3cd50a4c0816d4f1e5f4d44ed86301438816cdb67a27fb5827a478','3119befbc4eb9a2714e3033da4918483bb81a242bcfe453e64bd2add73f1f546');
INSERT INTO "checkpoints" VALUES(13,'2024-03-01 21:00:00.000000','{"kill_switch_events":[2,"772c82ce44c6ecbda437232a26d932c641420b86d1ed58277fbb87ae8ed2ce67"]}','3119befbc4eb9a2714e3033da4918483bb81a242bcfe453e64bd2add73f1f546','233d27888c45cb0f48fbdd5800ec26b9773fd7c31344d7085cebe8e4456e2159');
INSERT INTO "checkpoints" VALUES(14,'2024-03-01 21:00:00.000000','{"promotion_decisions":[2,"78e91f6ccaeb6c68d76d9c71882608e96c2325a533e4364420ab6cf999f85ab5"]}','233d27888c45cb0f48fbdd5800ec26b9773fd7c31344d7085cebe8e4456e2159','096d8c63e4d9522d48027e0645094a47b43dc9addf9c92faab0cca0188a1a077');
INSERT INTO "checkpoints" VALUES(15,'2024-03-01 21:00:00.000000','{"approvals":[2,"0734a54cbe31dd9dedea2c7876426140d48427e61271a79c93db0bcf8c46d670"]}','096d8c63e4d9522d48027e0645094a47b43dc9addf9c92faab0cca0188a1a077','f676ba007d590b7b46e4b91719e6baa277da2ccd21dbf95c54cf1c1cc4e2dbd2');
INSERT INTO "checkpoints" VALUES(16,'2024-03-01 21:00:00.000000','{"backtest_results":[2,"5fcd4213551cd85e11e7755ee23a92f8a207e962a7946821aa99393e179cf904"]}','f676ba007d590b7b46e4b91719e6baa277da2ccd21dbf95c54cf1c1cc4e2dbd2','d5b0c52de7c6cd670673583e78c4b110ecd8eee1fd454e0d3718e70c2c4e9b1b');
INSERT INTO "checkpoints" VALUES(17,'2024-03-01 21:00:00.000000','{"risk_events":[3,"9a906e2a1c33f5669699113fde0433768ecf17c5f5147a0e59fdc9047d101bcf"]}','d5b0c52de7c6cd670673583e78c4b110ecd8eee1fd454e0d3718e70c2c4e9b1b','4dc501ab6a77db2461be36e88aefd0a2deb0dd5735459e4b0d27595dac9403d0');
INSERT INTO "checkpoints" VALUES(18,'2024-03-01 21:00:00.000000','{"kill_switch_events":[3,"a04207beaae55d65c6829a735660819202dc588e62af9a698effbc15b2f99e3e"]}','4dc501ab6a77db2461be36e88aefd0a2deb0dd5735459e4b0d27595dac9403d0','7e86f1db72cf28cc7823e533d1365bb675e0f205ba27aa005685e0ff0e83cc3b');
INSERT INTO "checkpoints" VALUES(19,'2024-03-01 21:00:00.000000','{"promotion_decisions":[3,"75640d94e8cfd64536fd136d0ca9ee62a6597dcfca3236d3ffc2b7c8d66d2ae0"]}','7e86f1db72cf28cc7823e533d1365bb675e0f205ba27aa005685e0ff0e83cc3b','517f3b5c780fe0cdd6cd94d1afbd545468c012710ceb902a6c5dbe2bdd338cdf');
INSERT INTO "checkpoints" VALUES(20,'2024-03-01 21:00:00.000000','{"approvals":[3,"cb3197265aed7169ff1bcb720a9e9a161ea286c3997d248879c2c7f0a63c12d1"]}','517f3b5c780fe0cdd6cd94d1afbd545468c012710ceb902a6c5dbe2bdd338cdf','6144a11ccd87efcc09d349fc0d55ebe68c29b21472b1dbd00ea5c15a08987531');
INSERT INTO "checkpoints" VALUES(21,'2024-03-01 21:00:00.000000','{"backtest_results":[3,"f13ea4cc9ca70a8d8db1ea6e57699f2562b0ce52d94172276e9519015735d68a"]}','6144a11ccd87efcc09d349fc0d55ebe68c29b21472b1dbd00ea5c15a08987531','83ad9a67edff2a1d6ad096d6b095c0f2b1cd871bc96db5034d31233e6de7027c');
INSERT INTO "checkpoints" VALUES(22,'2024-03-01 21:00:00.000000','{"portfolio_worth":[1,"c92179a9b7694bc126443ec3898bd06492a67ea743a53266abcf4f66bbea2b3f"]}','83ad9a67edff2a1d6ad096d6b095c0f2b1cd871bc96db5034d31233e6de7027c','7806aca4cf4b99329c1690e92d38ca087aec33f628e42d66d81553b75f53edf6');
CREATE TABLE fills (
	id INTEGER NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	at DATETIME NOT NULL, 
	account VARCHAR(200) NOT NULL, 
	variant VARCHAR(200) NOT NULL, 
	session DATE NOT NULL, 
	execution_id VARCHAR(200) NOT NULL, 
	idempotency_key VARCHAR(64) NOT NULL, 
	order_ref VARCHAR(64) NOT NULL, 
	symbol VARCHAR(200) NOT NULL, 
	leg VARCHAR(200) NOT NULL, 
	side INTEGER NOT NULL, 
	qty FLOAT NOT NULL, 
	price FLOAT NOT NULL, 
	fee FLOAT NOT NULL, 
	realised FLOAT NOT NULL, 
	reason VARCHAR(200) NOT NULL, 
	broker_seq INTEGER, 
	prev_hash VARCHAR(64) NOT NULL, 
	row_hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT fills_once UNIQUE (account, execution_id)
);
INSERT INTO "fills" VALUES(1,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','paper','risk1','2024-03-01','x1','1416b01cd81f19e0b0b5eb07b3bb382a83d65f2adb593897a29888ceeff553a9','1416b01cd81f19e0','AAA','entry',1,10.0,101.1,0.1,-0.1,'entry',1,'0000000000000000000000000000000000000000000000000000000000000000','c22bfe884c37251b83259d433abfc9aa26f3341d05ed998cb65c399a74f53721');
INSERT INTO "fills" VALUES(2,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','paper','risk1','2024-03-01','x2','1416b01cd81f19e0b0b5eb07b3bb382a83d65f2adb593897a29888ceeff553a9','1416b01cd81f19e0','AAA','exit',1,10.0,102.1,0.1,5.0,'exit',2,'c22bfe884c37251b83259d433abfc9aa26f3341d05ed998cb65c399a74f53721','fcd995da13c6d59066646320e01eeed969e9a73db04b2296c5d887b2812215b7');
CREATE TABLE kill_switch_events (
	id INTEGER NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	at DATETIME NOT NULL, 
	action VARCHAR(200) NOT NULL, 
	scope VARCHAR(200) NOT NULL, 
	reason TEXT NOT NULL, 
	"by" VARCHAR(200) NOT NULL, 
	breach_id VARCHAR(200), 
	prev_hash VARCHAR(64) NOT NULL, 
	row_hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (breach_id)
);
INSERT INTO "kill_switch_events" VALUES(1,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','engaged','account:one','why','breaker','one','0000000000000000000000000000000000000000000000000000000000000000','3d86cb3ae62b90a611dac513af5866b0ff30cf76469e06df909fd71444926960');
INSERT INTO "kill_switch_events" VALUES(2,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','engaged','account:two','why','breaker','two','3d86cb3ae62b90a611dac513af5866b0ff30cf76469e06df909fd71444926960','772c82ce44c6ecbda437232a26d932c641420b86d1ed58277fbb87ae8ed2ce67');
INSERT INTO "kill_switch_events" VALUES(3,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','engaged','account:three','why','breaker','three','772c82ce44c6ecbda437232a26d932c641420b86d1ed58277fbb87ae8ed2ce67','a04207beaae55d65c6829a735660819202dc588e62af9a698effbc15b2f99e3e');
CREATE TABLE order_events (
	id INTEGER NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	at DATETIME NOT NULL, 
	account VARCHAR(200) NOT NULL, 
	variant VARCHAR(200) NOT NULL, 
	idempotency_key VARCHAR(64) NOT NULL, 
	order_ref VARCHAR(64) NOT NULL, 
	state VARCHAR(200) NOT NULL, 
	reason TEXT NOT NULL, 
	broker_seq INTEGER, 
	payload TEXT NOT NULL, 
	prev_hash VARCHAR(64) NOT NULL, 
	row_hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "order_events" VALUES(1,'2024-03-01 21:00:00.000000','2024-03-01 14:35:00.000000','paper','risk1','1416b01cd81f19e0b0b5eb07b3bb382a83d65f2adb593897a29888ceeff553a9','1416b01cd81f19e0','intended','batch',NULL,'{}','0000000000000000000000000000000000000000000000000000000000000000','4347f41e9086ba1701eb450651d64454284a4ea3b633b2d1b86dbd36a57c08f7');
INSERT INTO "order_events" VALUES(2,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','paper','risk1','1416b01cd81f19e0b0b5eb07b3bb382a83d65f2adb593897a29888ceeff553a9','1416b01cd81f19e0','submitting','',NULL,'{"figure":0.1}','4347f41e9086ba1701eb450651d64454284a4ea3b633b2d1b86dbd36a57c08f7','fd4a38361e8368ef04da7790c9e35ccce63c1aaa2db0397606de9122dbb0c1cb');
INSERT INTO "order_events" VALUES(3,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','paper','risk1','1416b01cd81f19e0b0b5eb07b3bb382a83d65f2adb593897a29888ceeff553a9','1416b01cd81f19e0','acknowledged','',NULL,'{"figure":0.1}','fd4a38361e8368ef04da7790c9e35ccce63c1aaa2db0397606de9122dbb0c1cb','830e801cacf05916a81a461b53b1325b301205203b58f4b4d3c41b61e5105157');
INSERT INTO "order_events" VALUES(4,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','paper','risk1','1416b01cd81f19e0b0b5eb07b3bb382a83d65f2adb593897a29888ceeff553a9','1416b01cd81f19e0','filled','',NULL,'{"figure":0.1}','830e801cacf05916a81a461b53b1325b301205203b58f4b4d3c41b61e5105157','580e7487ea88cc27023537b3092e513c24618ce7ed48c5a7302be221bf1de3da');
CREATE TABLE order_intents (
	id INTEGER NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	account VARCHAR(200) NOT NULL, 
	variant VARCHAR(200) NOT NULL, 
	session DATE NOT NULL, 
	idempotency_key VARCHAR(64) NOT NULL, 
	order_ref VARCHAR(64) NOT NULL, 
	oco_id VARCHAR(200) NOT NULL, 
	strategy_version VARCHAR(200) NOT NULL, 
	symbol VARCHAR(200) NOT NULL, 
	side INTEGER NOT NULL, 
	qty FLOAT NOT NULL, 
	entry FLOAT NOT NULL, 
	stop FLOAT NOT NULL, 
	target FLOAT, 
	setup_time DATETIME NOT NULL, 
	valid_sessions INTEGER NOT NULL, 
	valid_from DATETIME NOT NULL, 
	valid_to DATETIME NOT NULL, 
	tif VARCHAR(200) NOT NULL, 
	lineage TEXT NOT NULL, 
	prev_hash VARCHAR(64) NOT NULL, 
	row_hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (idempotency_key), 
	UNIQUE (order_ref)
);
INSERT INTO "order_intents" VALUES(1,'2024-03-01 21:00:00.000000','paper','risk1','2024-03-01','1416b01cd81f19e0b0b5eb07b3bb382a83d65f2adb593897a29888ceeff553a9','1416b01cd81f19e0','oco-AAA-0-risk1','v1','AAA',1,10.0,100.1,99.1,NULL,'2024-03-01 14:30:00.000000',0,'2024-03-01 14:35:00.000000','2024-03-01 21:00:00.000000','GTD','{"code_version":"1.0","commits":{"signals":"abc"},"config_hash":"cfg","decision_id":"d1"}','0000000000000000000000000000000000000000000000000000000000000000','e5d61fd789384deb9c5c89c18e11416c40e85b58b43648c05bbe3cffe80e0bd9');
CREATE TABLE portfolio_worth (
	id INTEGER NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	at DATETIME NOT NULL, 
	account VARCHAR(200) NOT NULL, 
	variant VARCHAR(200) NOT NULL, 
	session DATE NOT NULL, 
	capital FLOAT NOT NULL, 
	realised FLOAT NOT NULL, 
	unrealised FLOAT NOT NULL, 
	equity FLOAT NOT NULL, 
	pnl FLOAT NOT NULL, 
	trades INTEGER NOT NULL, 
	peak FLOAT NOT NULL, 
	drawdown FLOAT NOT NULL, 
	content_hash VARCHAR(64) NOT NULL, 
	prev_hash VARCHAR(64) NOT NULL, 
	row_hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (content_hash)
);
INSERT INTO "portfolio_worth" VALUES(1,'2024-03-01 21:00:00.000000','2024-03-01 21:00:00.000000','paper','risk1','2024-03-01',10000.0,10100.0,0.0,10100.0,100.0,3,10100.0,0.0,'970d52ad5041c1adb0090c317dd7ab7e7dc54c94bae289a2ab731e39e7e14168','0000000000000000000000000000000000000000000000000000000000000000','c92179a9b7694bc126443ec3898bd06492a67ea743a53266abcf4f66bbea2b3f');
CREATE TABLE promotion_decisions (
	id INTEGER NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	at DATETIME NOT NULL, 
	decision_id VARCHAR(200) NOT NULL, 
	variant VARCHAR(200) NOT NULL, 
	strategy_version VARCHAR(200) NOT NULL, 
	from_stage VARCHAR(200) NOT NULL, 
	to_stage VARCHAR(200) NOT NULL, 
	session DATE NOT NULL, 
	decided_by VARCHAR(200) NOT NULL, 
	reason TEXT NOT NULL, 
	content TEXT NOT NULL, 
	prev_hash VARCHAR(64) NOT NULL, 
	row_hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (decision_id)
);
INSERT INTO "promotion_decisions" VALUES(1,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','one','risk1','v1','experiment','lab','2024-03-01','auto','green','{"decided_by":"auto","decision_id":"one","from_stage":"experiment","gates":[{"name":"replay","value":0.1}],"reason":"green","session":"2024-03-01","strategy_version":"v1","to_stage":"lab","variant":"risk1"}','0000000000000000000000000000000000000000000000000000000000000000','7e606496dd9808bdcbf1062e923d11a9c6728fcf620d1fd30526cfa441ac2343');
INSERT INTO "promotion_decisions" VALUES(2,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','two','risk1','v1','experiment','lab','2024-03-01','auto','green','{"decided_by":"auto","decision_id":"two","from_stage":"experiment","gates":[{"name":"replay","value":0.1}],"reason":"green","session":"2024-03-01","strategy_version":"v1","to_stage":"lab","variant":"risk1"}','7e606496dd9808bdcbf1062e923d11a9c6728fcf620d1fd30526cfa441ac2343','78e91f6ccaeb6c68d76d9c71882608e96c2325a533e4364420ab6cf999f85ab5');
INSERT INTO "promotion_decisions" VALUES(3,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','three','risk1','v1','experiment','lab','2024-03-01','auto','green','{"decided_by":"auto","decision_id":"three","from_stage":"experiment","gates":[{"name":"replay","value":0.1}],"reason":"green","session":"2024-03-01","strategy_version":"v1","to_stage":"lab","variant":"risk1"}','78e91f6ccaeb6c68d76d9c71882608e96c2325a533e4364420ab6cf999f85ab5','75640d94e8cfd64536fd136d0ca9ee62a6597dcfca3236d3ffc2b7c8d66d2ae0');
CREATE TABLE risk_events (
	id INTEGER NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	at DATETIME NOT NULL, 
	account VARCHAR(200) NOT NULL, 
	variant VARCHAR(200) NOT NULL, 
	session DATE, 
	kind VARCHAR(200) NOT NULL, 
	severity VARCHAR(200) NOT NULL, 
	detail TEXT NOT NULL, 
	figures TEXT NOT NULL, 
	dedupe_key VARCHAR(200), 
	prev_hash VARCHAR(64) NOT NULL, 
	row_hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (dedupe_key)
);
INSERT INTO "risk_events" VALUES(1,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','paper','risk1','2024-03-01','one','error','detail','{"x":1.5}',NULL,'0000000000000000000000000000000000000000000000000000000000000000','043956a5dcbb4b11ed11de6722ef6d8a82c70fb725bb6628d791feeb8c2bfbd0');
INSERT INTO "risk_events" VALUES(2,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','paper','risk1','2024-03-01','two','error','detail','{"x":1.5}',NULL,'043956a5dcbb4b11ed11de6722ef6d8a82c70fb725bb6628d791feeb8c2bfbd0','6b18de21d8ab90ffd8c2b86122ae49ce40a2c129292ce4662db5567723e0ea05');
INSERT INTO "risk_events" VALUES(3,'2024-03-01 21:00:00.000000','2024-03-01 14:30:00.000000','paper','risk1','2024-03-01','three','error','detail','{"x":1.5}',NULL,'6b18de21d8ab90ffd8c2b86122ae49ce40a2c129292ce4662db5567723e0ea05','9a906e2a1c33f5669699113fde0433768ecf17c5f5147a0e59fdc9047d101bcf');
CREATE INDEX order_intents_by_oco ON order_intents (oco_id);
CREATE INDEX order_intents_by_session ON order_intents (account, session);
CREATE INDEX order_events_by_key ON order_events (idempotency_key, id);
CREATE INDEX order_events_by_broker_seq ON order_events (account, broker_seq);
CREATE INDEX fills_by_book ON fills (account, variant, session);
CREATE INDEX fills_by_broker_seq ON fills (account, broker_seq);
CREATE INDEX fills_by_ref ON fills (order_ref);
CREATE INDEX risk_events_by_kind ON risk_events (account, kind, session);
CREATE INDEX kill_switch_events_by_scope ON kill_switch_events (scope, id);
CREATE INDEX promotion_decisions_by_variant ON promotion_decisions (variant, session);
CREATE INDEX backtest_results_by_variant ON backtest_results (variant, session);
CREATE INDEX portfolio_worth_by_session ON portfolio_worth (account, variant, session);
CREATE TRIGGER order_intents_no_update BEFORE UPDATE ON order_intents BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER order_intents_no_delete BEFORE DELETE ON order_intents BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER order_intents_no_replace BEFORE INSERT ON order_intents WHEN EXISTS (SELECT 1 FROM order_intents WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER order_events_no_update BEFORE UPDATE ON order_events BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER order_events_no_delete BEFORE DELETE ON order_events BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER order_events_no_replace BEFORE INSERT ON order_events WHEN EXISTS (SELECT 1 FROM order_events WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER fills_no_update BEFORE UPDATE ON fills BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER fills_no_delete BEFORE DELETE ON fills BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER fills_no_replace BEFORE INSERT ON fills WHEN EXISTS (SELECT 1 FROM fills WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER risk_events_no_update BEFORE UPDATE ON risk_events BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER risk_events_no_delete BEFORE DELETE ON risk_events BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER risk_events_no_replace BEFORE INSERT ON risk_events WHEN EXISTS (SELECT 1 FROM risk_events WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER kill_switch_events_no_update BEFORE UPDATE ON kill_switch_events BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER kill_switch_events_no_delete BEFORE DELETE ON kill_switch_events BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER kill_switch_events_no_replace BEFORE INSERT ON kill_switch_events WHEN EXISTS (SELECT 1 FROM kill_switch_events WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER promotion_decisions_no_update BEFORE UPDATE ON promotion_decisions BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER promotion_decisions_no_delete BEFORE DELETE ON promotion_decisions BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER promotion_decisions_no_replace BEFORE INSERT ON promotion_decisions WHEN EXISTS (SELECT 1 FROM promotion_decisions WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER approvals_no_update BEFORE UPDATE ON approvals BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER approvals_no_delete BEFORE DELETE ON approvals BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER approvals_no_replace BEFORE INSERT ON approvals WHEN EXISTS (SELECT 1 FROM approvals WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER backtest_results_no_update BEFORE UPDATE ON backtest_results BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER backtest_results_no_delete BEFORE DELETE ON backtest_results BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER backtest_results_no_replace BEFORE INSERT ON backtest_results WHEN EXISTS (SELECT 1 FROM backtest_results WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER portfolio_worth_no_update BEFORE UPDATE ON portfolio_worth BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER portfolio_worth_no_delete BEFORE DELETE ON portfolio_worth BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER portfolio_worth_no_replace BEFORE INSERT ON portfolio_worth WHEN EXISTS (SELECT 1 FROM portfolio_worth WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON checkpoints BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON checkpoints BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
CREATE TRIGGER checkpoints_no_replace BEFORE INSERT ON checkpoints WHEN EXISTS (SELECT 1 FROM checkpoints WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'the ledger is append only: rows are never updated or deleted'); END;
COMMIT;
