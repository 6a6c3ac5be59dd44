/** Bodies exactly as the classes of Apache RocketMQ 5.5.0 encode them (captured from the jars); for tests. */
export const APACHE_BODIES = {
  route:
    '{"brokerDatas":[{"brokerAddrs":{0:"1.2.3.4:10911",1:"1.2.3.5:10911"},"brokerName":"b","cluster":"c","enableActingMaster":false,"zoneName":"z"}],"filterServerTable":{},"orderTopicConf":"b:4","queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}],"topicQueueMappingByBroker":{"b":{"bname":"b","currIdMap":{0:1,2:3},"dirty":false,"epoch":7,"scope":"__global__","topic":"T","totalQueues":4}}}',
  routeStd:
    '{"brokerDatas":[{"brokerAddrs":{"0":"1.2.3.4:10911","1":"1.2.3.5:10911"},"brokerName":"b","cluster":"c","enableActingMaster":false,"zoneName":"z"}],"filterServerTable":{},"orderTopicConf":"b:4","queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}],"topicQueueMappingByBroker":{"b":{"bname":"b","currIdMap":{"0":1,"2":3},"dirty":false,"epoch":7,"scope":"__global__","topic":"T","totalQueues":4}}}',
  clusterInfo:
    '{"brokerAddrTable":{"b":{"brokerAddrs":{0:"1.2.3.4:10911",1:"1.2.3.5:10911"},"brokerName":"b","cluster":"c","enableActingMaster":false,"zoneName":"z"}},"clusterAddrTable":{"c":["b"]}}',
  topicList0: '{"topicList":[]}',
  topicList: '{"brokerAddr":"x","topicList":["T"]}',
  kv: '{"table":{"k":"v"}}',
  dv: '{"counter":3,"stateVersion":0,"timestamp":1700000000000}',
  tc: '{"attributes":{"message.type":"NORMAL"},"order":true,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":4}',
  wrapper:
    '{"dataVersion":{"counter":3,"stateVersion":0,"timestamp":1700000000000},"mappingDataVersion":{"counter":0,"stateVersion":0,"timestamp":5},"topicConfigTable":{"T":{"attributes":{"message.type":"NORMAL"},"order":true,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":4}},"topicQueueMappingDetailMap":{"T":{"bname":"b","currIdMap":{0:1},"dirty":false,"epoch":7,"hostedQueues":{0:[{"bname":"b","endOffset":-1,"gen":0,"logicOffset":0,"queueId":1,"startOffset":0,"timeOfEnd":-1,"timeOfStart":-1}]},"scope":"__global__","topic":"T","totalQueues":4}},"topicQueueMappingInfoMap":{"T":{"bname":"b","currIdMap":{0:1,2:3},"dirty":false,"epoch":7,"scope":"__global__","topic":"T","totalQueues":4}}}',
  wrapper0:
    '{"dataVersion":{"counter":3,"stateVersion":0,"timestamp":1700000000000},"topicConfigTable":{"T":{"attributes":{"message.type":"NORMAL"},"order":true,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":4}}}',
  register:
    '{"filterServerList":[],"topicConfigSerializeWrapper":{"dataVersion":{"counter":3,"stateVersion":0,"timestamp":1700000000000},"mappingDataVersion":{"counter":0,"stateVersion":0,"timestamp":5},"topicConfigTable":{"T":{"attributes":{"message.type":"NORMAL"},"order":true,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":4}},"topicQueueMappingDetailMap":{"T":{"bname":"b","currIdMap":{0:1},"dirty":false,"epoch":7,"hostedQueues":{0:[{"bname":"b","endOffset":-1,"gen":0,"logicOffset":0,"queueId":1,"startOffset":0,"timeOfEnd":-1,"timeOfStart":-1}]},"scope":"__global__","topic":"T","totalQueues":4}},"topicQueueMappingInfoMap":{"T":{"bname":"b","currIdMap":{0:1,2:3},"dirty":false,"epoch":7,"scope":"__global__","topic":"T","totalQueues":4}}}}',
  registerCompressed:
    "eNpFjkFrwzAMhb3T/kZ4ZzOStaxDtxxGKLQd28IupRjHVbOAEwfbOZSQ/z63DCYheDz0PUkI8TrDuGmI7EEriRB15G/2oXMDKJeIXc/J7EdQscn/axFCPKSRdbZO/ZJ9bQ/V7k3VZZXNSEzQLT/F68ggHN4/9+UON+bxiAsVOP3hdkYz6P621EDCTN5vz3udrs05FfKZVovEufPxCrpoG1iCR2d+QJv0rHH3eKVa6xptlUoR0Y2dSWZ911Hbj4knDqD18gtc5ENd",
  memberGroup: '{"brokerMemberGroup":{"brokerAddrs":{0:"x"},"brokerName":"b","cluster":"c"}}',
  sg: '{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"g","groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}',
  sg2: '{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"g","groupRetryPolicy":{"customizedRetryPolicy":{"next":[1000,5000,10000,30000,60000,120000,180000,240000,300000,360000,420000,480000,540000,600000,1200000,1800000,3600000,7200000]},"exponentialRetryPolicy":{"initial":5000,"max":7200000,"multiplier":2},"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"subscriptionDataSet":[{"expression":"*","expressionType":"TAG","topic":"T","version":1}],"whichBrokerWhenConsumeSlowly":1}',
  sgWrapper:
    '{"dataVersion":{"counter":3,"stateVersion":0,"timestamp":1700000000000},"forbiddenTable":{"g":{"T":1}},"subscriptionGroupTable":{"g":{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"g","groupRetryPolicy":{"customizedRetryPolicy":{"next":[1000,5000,10000,30000,60000,120000,180000,240000,300000,360000,420000,480000,540000,600000,1200000,1800000,3600000,7200000]},"exponentialRetryPolicy":{"initial":5000,"max":7200000,"multiplier":2},"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"subscriptionDataSet":[{"expression":"*","expressionType":"TAG","topic":"T","version":1}],"whichBrokerWhenConsumeSlowly":1}}}',
  heartbeat:
    '{"clientID":"c","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"g","messageModel":"CLUSTERING","subscriptionDataSet":[{"classFilterMode":false,"codeSet":[65],"expressionType":"TAG","subString":"A||B","subVersion":9,"tagsSet":["A"],"topic":"T"}],"unitMode":false}],"heartbeatFingerprint":0,"producerDataSet":[{"groupName":"p"}],"withoutSub":false}',
  consumerList: '{"consumerIdList":["a","b"]}',
  lockReq:
    '{"clientId":"x","consumerGroup":"g","mqSet":[{"brokerName":"b","queueId":1,"topic":"T"}],"onlyThisBroker":false}',
  lockRes: '{"lockOKMQSet":[{"brokerName":"b","queueId":1,"topic":"T"}]}',
  consumerConnection:
    '{"connectionSet":[{"clientAddr":"1.1.1.1:5","clientId":"id","language":"JAVA","version":455}],"consumeFromWhere":"CONSUME_FROM_TIMESTAMP","consumeType":"CONSUME_ACTIVELY","messageModel":"BROADCASTING","subscriptionTable":{"T":{"classFilterMode":false,"codeSet":[65],"expressionType":"TAG","subString":"A||B","subVersion":9,"tagsSet":["A"],"topic":"T"}}}',
  producerConnection: '{"connectionSet":[{"clientAddr":"1.1.1.1:5","clientId":"id","language":"JAVA","version":455}]}',
  topicStats:
    '{"offsetTable":{{"brokerName":"b","queueId":1,"topic":"T"}:{"lastUpdateTimestamp":0,"maxOffset":5,"minOffset":0}},"topicPutTps":0.0}',
  consumeStats:
    '{"consumeTps":1.25,"offsetTable":{{"brokerName":"b","queueId":1,"topic":"T"}:{"brokerOffset":3,"consumerOffset":0,"lastTimestamp":0,"pullOffset":0}}}',
} as const;
