// Topics and their configs.
#include "client.h"

#include <string.h>
#include <unistd.h>

static void expect_retention(rd_kafka_t* client, rd_kafka_queue_t* queue, const char* wanted) {
  rd_kafka_ConfigResource_t* resource =
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
  rd_kafka_DescribeConfigs(client, &resource, 1, NULL, queue);
  rd_kafka_event_t* event = answer(queue, "describe configs");
  size_t count = 0, entry_count = 0;
  const rd_kafka_ConfigResource_t** resources = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event), &count);
  expect_equal((int64_t)count, 1, "resources");
  const rd_kafka_ConfigEntry_t** entries =
      rd_kafka_ConfigResource_configs(resources[0], &entry_count);
  const char* found = "missing";
  for (size_t i = 0; i < entry_count; ++i) {
    if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "retention.ms") == 0) {
      found = rd_kafka_ConfigEntry_value(entries[i]);
    }
  }
  if (strcmp(found, wanted) != 0) fail("retention.ms: found %s, wanted %s", found, wanted);
  rd_kafka_event_destroy(event);
  rd_kafka_ConfigResource_destroy(resource);
}

// AlterConfigs, the older call: what is not named goes back to its default.
static void alter_retention(rd_kafka_t* client, rd_kafka_queue_t* queue, const char* value) {
  rd_kafka_ConfigResource_t* resource =
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
  if (value != NULL) rd_kafka_ConfigResource_set_config(resource, "retention.ms", value);
  rd_kafka_AlterConfigs(client, &resource, 1, NULL, queue);
  rd_kafka_event_t* event = answer(queue, "alter configs");
  size_t count = 0;
  const rd_kafka_ConfigResource_t** resources = rd_kafka_AlterConfigs_result_resources(
      rd_kafka_event_AlterConfigs_result(event), &count);
  expect_equal((int64_t)count, 1, "resources");
  expect_no_error(rd_kafka_ConfigResource_error(resources[0]), "alter configs");
  rd_kafka_event_destroy(event);
  rd_kafka_ConfigResource_destroy(resource);
}

static void delete_records(rd_kafka_t* client, rd_kafka_queue_t* queue) {
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic, 0)->offset = 40;
  rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(list);
  rd_kafka_DeleteRecords(client, &request, 1, NULL, queue);
  rd_kafka_event_t* event = answer(queue, "delete records");
  const rd_kafka_topic_partition_list_t* told =
      rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
  expect_no_error(told->elems[0].err, "delete records");
  expect_equal(told->elems[0].offset, 40, "low watermark");
  rd_kafka_event_destroy(event);
  rd_kafka_DeleteRecords_destroy(request);
  rd_kafka_topic_partition_list_destroy(list);
  int64_t low = -1, high = -1;
  expect_no_error(rd_kafka_query_watermark_offsets(client, topic, 0, &low, &high, wait_ms),
                  "watermarks");
  expect_equal(low, 40, "low watermark after it");
}

static void delete_topic(rd_kafka_t* client, rd_kafka_queue_t* queue) {
  rd_kafka_DeleteTopic_t* request = rd_kafka_DeleteTopic_new(topic);
  rd_kafka_DeleteTopics(client, &request, 1, NULL, queue);
  rd_kafka_event_t* event = answer(queue, "delete topic");
  size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
  expect_no_error(rd_kafka_topic_result_error(results[0]), "delete topic");
  rd_kafka_event_destroy(event);
  rd_kafka_DeleteTopic_destroy(request);
}

void admin(void) {
  rd_kafka_t* client = open_producer("none", "false");
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
  expect_no_error(create_topic(client, queue, partition_count), "create topic");
  expect_equal(create_topic(client, queue, partition_count),
               RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "the same topic again");
  produce_records(client, "admin");
  expect_retention(client, queue, "-1");
  alter_retention(client, queue, "86400000");
  sleep(1);
  expect_retention(client, queue, "86400000");
  alter_retention(client, queue, NULL);
  sleep(1);
  expect_retention(client, queue, "604800000");
  delete_records(client, queue);
  delete_topic(client, queue);
}
