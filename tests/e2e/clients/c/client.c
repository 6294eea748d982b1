// librdkafka in C, as the distribution packages it: admin, every codec, seeks, configs, deletes.
// client ADDRESS.
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { partition_count = 3, per_codec = 600, codec_count = 5, wait_ms = 30000 };
static const char* const topic = "c-client";
static const char* const codecs[codec_count] = {"none", "gzip", "snappy", "lz4", "zstd"};
static const int64_t start_ms = 1700000000000;
static const int64_t end_offset = per_codec / partition_count * codec_count;

static void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
  exit(1);
}

static void expect_equal(int64_t found, int64_t wanted, const char* what) {
  if (found != wanted) fail("%s: found %lld, wanted %lld", what, (long long)found,
                            (long long)wanted);
}

static void expect_no_error(rd_kafka_resp_err_t error, const char* what) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) fail("%s: %s", what, rd_kafka_err2name(error));
}

// What record `number` of a codec holds; the key's length is 0 for "no key".
static size_t make_key(char* out, const char* codec, int number) {
  return number % 7 == 0 ? 0 : (size_t)sprintf(out, "%s-%d", codec, number);
}
static size_t make_value(char* out, const char* codec, int number) {
  size_t size = 0;
  for (int i = 0; i <= number % 40; ++i) size += (size_t)sprintf(out + size, "%s %d ", codec, number);
  return size;
}

static int64_t delivered[partition_count];

static void on_delivery(rd_kafka_t* client, const rd_kafka_message_t* message, void* opaque) {
  (void)client;
  (void)opaque;
  expect_no_error(message->err, "delivery");
  expect_equal(message->offset, delivered[message->partition]++, "offset told");
}

static rd_kafka_t* open_client(rd_kafka_type_t type, const char* address, const char* codec) {
  char why[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  const char* settings[][2] = {
      {"bootstrap.servers", address}, {"compression.codec", codec}, {"group.id", "unused"},
      {"enable.auto.commit", "false"}, {"enable.idempotence", "true"}, {"linger.ms", "20"}};
  for (size_t i = 0; i < sizeof settings / sizeof settings[0]; ++i) {
    const int for_producer = i == 1 || i >= 4, for_consumer = i == 2 || i == 3;
    if (type == RD_KAFKA_PRODUCER ? for_consumer : for_producer) continue;
    if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why) !=
        RD_KAFKA_CONF_OK) {
      fail("setting: %s", why);
    }
  }
  if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  rd_kafka_t* client = rd_kafka_new(type, conf, why, sizeof why);
  if (client == NULL) fail("client: %s", why);
  return client;
}

static void produce(const char* address) {
  char key[64], value[2048];
  for (int c = 0; c < codec_count; ++c) {
    rd_kafka_t* client = open_client(RD_KAFKA_PRODUCER, address, codecs[c]);
    for (int number = 0; number < per_codec; ++number) {
      const size_t key_size = make_key(key, codecs[c], number);
      const size_t value_size = make_value(value, codecs[c], number);
      expect_no_error(
          rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic),
                            RD_KAFKA_V_PARTITION(number % partition_count),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                            RD_KAFKA_V_KEY(key_size > 0 ? key : NULL, key_size),
                            RD_KAFKA_V_VALUE(value, value_size),
                            RD_KAFKA_V_TIMESTAMP(start_ms + 1000 * number),
                            RD_KAFKA_V_HEADER("n", codecs[c], -1), RD_KAFKA_V_END),
          "produce");
    }
    expect_no_error(rd_kafka_flush(client, wait_ms), "flush");
    rd_kafka_destroy(client);
  }
}

static void compare(const rd_kafka_message_t* message) {
  char key[64], value[2048];
  const int per_partition = per_codec / partition_count;
  const char* codec = codecs[message->offset / per_partition];
  const int number = (int)(message->offset % per_partition) * partition_count + message->partition;
  const size_t key_size = make_key(key, codec, number);
  const size_t value_size = make_value(value, codec, number);
  expect_equal((int64_t)message->key_len, (int64_t)key_size, "size of a key");
  expect_equal((int64_t)message->len, (int64_t)value_size, "size of a value");
  if (key_size > 0) expect_equal(memcmp(message->key, key, key_size), 0, "bytes of a key");
  expect_equal(memcmp(message->payload, value, value_size), 0, "bytes of a value");
  expect_equal(rd_kafka_message_timestamp(message, NULL), start_ms + 1000 * number, "timestamp");
  rd_kafka_headers_t* headers = NULL;
  const void* header = NULL;
  size_t size = 0;
  expect_no_error(rd_kafka_message_headers(message, &headers), "headers");
  expect_no_error(rd_kafka_header_get_last(headers, "n", &header, &size), "header");
  expect_equal((int64_t)size, (int64_t)strlen(codec), "size of a header");
  expect_equal(memcmp(header, codec, size), 0, "bytes of a header");
}

// Reads from `offset` of every partition to the end.
static void consume(rd_kafka_t* consumer, int64_t offset, int64_t first) {
  int64_t next[partition_count] = {first, first, first};
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partition_count);
  for (int p = 0; p < partition_count; ++p) {
    rd_kafka_topic_partition_list_add(list, topic, p)->offset = offset;
  }
  expect_no_error(rd_kafka_assign(consumer, list), "assign");
  rd_kafka_topic_partition_list_destroy(list);
  for (int64_t left = (end_offset - first) * partition_count; left > 0; --left) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, wait_ms);
    if (message == NULL) fail("no message, %lld to come", (long long)left);
    expect_no_error(message->err, "consume");
    expect_equal(message->offset, next[message->partition]++, "offset of a message");
    compare(message);
    rd_kafka_message_destroy(message);
  }
}

static void offsets(rd_kafka_t* consumer) {
  int64_t low = -1, high = -1;
  expect_no_error(rd_kafka_query_watermark_offsets(consumer, topic, 1, &low, &high, wait_ms),
                  "watermarks");
  expect_equal(low, 0, "low watermark");
  expect_equal(high, end_offset, "high watermark");
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic, 1)->offset = start_ms + 450000;
  expect_no_error(rd_kafka_offsets_for_times(consumer, list, wait_ms), "offsets by time");
  expect_equal(list->elems[0].offset, 150, "offset by time");
  rd_kafka_topic_partition_list_destroy(list);
}

// Waits for the answer of an admin request; the caller destroys the event.
static rd_kafka_event_t* answer(rd_kafka_queue_t* queue, const char* what) {
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, wait_ms);
  if (event == NULL) fail("%s: no answer", what);
  if (rd_kafka_event_error(event)) fail("%s: %s", what, rd_kafka_event_error_string(event));
  return event;
}

static rd_kafka_resp_err_t create_topic(rd_kafka_t* client, rd_kafka_queue_t* queue) {
  char why[512];
  rd_kafka_NewTopic_t* wanted = rd_kafka_NewTopic_new(topic, partition_count, 1, why, sizeof why);
  rd_kafka_NewTopic_set_config(wanted, "retention.ms", "-1");
  rd_kafka_CreateTopics(client, &wanted, 1, NULL, queue);
  rd_kafka_event_t* event = answer(queue, "create topic");
  size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
  expect_equal((int64_t)count, 1, "results");
  const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[0]);
  rd_kafka_event_destroy(event);
  rd_kafka_NewTopic_destroy(wanted);
  return error;
}

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
  rd_kafka_topic_partition_list_add(list, topic, 0)->offset = 400;
  rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(list);
  rd_kafka_DeleteRecords(client, &request, 1, NULL, queue);
  rd_kafka_event_t* event = answer(queue, "delete records");
  const rd_kafka_topic_partition_list_t* told =
      rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
  expect_no_error(told->elems[0].err, "delete records");
  expect_equal(told->elems[0].offset, 400, "low watermark");
  rd_kafka_event_destroy(event);
  rd_kafka_DeleteRecords_destroy(request);
  rd_kafka_topic_partition_list_destroy(list);
  int64_t low = -1, high = -1;
  expect_no_error(rd_kafka_query_watermark_offsets(client, topic, 0, &low, &high, wait_ms),
                  "watermarks");
  expect_equal(low, 400, "low watermark after it");
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

int main(int argc, char** argv) {
  if (argc != 2) fail("usage: client ADDRESS");
  printf("librdkafka %s in C\n", rd_kafka_version_str());
  rd_kafka_t* admin = open_client(RD_KAFKA_PRODUCER, argv[1], "none");
  rd_kafka_queue_t* queue = rd_kafka_queue_new(admin);
  expect_no_error(create_topic(admin, queue), "create topic");
  expect_equal(create_topic(admin, queue), RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS,
               "the same topic again");
  produce(argv[1]);
  rd_kafka_t* consumer = open_client(RD_KAFKA_CONSUMER, argv[1], "none");
  consume(consumer, RD_KAFKA_OFFSET_BEGINNING, 0);
  consume(consumer, end_offset - 5, end_offset - 5);
  offsets(consumer);
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
  expect_retention(admin, queue, "-1");
  alter_retention(admin, queue, "86400000");
  expect_retention(admin, queue, "86400000");
  alter_retention(admin, queue, NULL);
  expect_retention(admin, queue, "604800000");
  delete_records(admin, queue);
  delete_topic(admin, queue);
  rd_kafka_queue_destroy(queue);
  rd_kafka_destroy(admin);
  printf("OK\n");
  return 0;
}
