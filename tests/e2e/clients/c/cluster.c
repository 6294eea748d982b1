// The broker under test: what the features share.
#include "client.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("feature %s bad ", feature);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
  fflush(stdout);
  _exit(1);
}

void expect_equal(int64_t found, int64_t wanted, const char* what) {
  if (found != wanted) fail("%s: found %lld, wanted %lld", what, (long long)found,
                            (long long)wanted);
}

void expect_no_error(rd_kafka_resp_err_t error, const char* what) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) fail("%s: %s", what, rd_kafka_err2name(error));
}

// The functions of transactions return objects; NULL is good.
void expect_done(rd_kafka_error_t* error, const char* what) {
  if (error != NULL) fail("%s: %s", what, rd_kafka_error_string(error));
}

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t delivered[partition_count];
int checks_offsets;

static void on_delivery(rd_kafka_t* client, const rd_kafka_message_t* message, void* opaque) {
  (void)client;
  (void)opaque;
  expect_no_error(message->err, "delivery");
  if (!checks_offsets) return;
  expect_equal(message->offset, delivered[message->partition]++, "offset told");
}

// `settings`: pairs, ended by NULL.
rd_kafka_t* open_client(rd_kafka_type_t type, const char* const* settings) {
  char why[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", address, NULL, 0);
  rd_kafka_conf_set(conf, "log_level", "2", NULL, 0);
  for (; *settings != NULL; settings += 2) {
    if (rd_kafka_conf_set(conf, settings[0], settings[1], why, sizeof why) != RD_KAFKA_CONF_OK) {
      fail("setting: %s", why);
    }
  }
  if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  rd_kafka_t* client = rd_kafka_new(type, conf, why, sizeof why);
  if (client == NULL) fail("client: %s", why);
  if (type == RD_KAFKA_CONSUMER) rd_kafka_poll_set_consumer(client);
  return client;
}

rd_kafka_t* open_producer(const char* codec, const char* idempotent) {
  const char* settings[] = {"compression.codec", codec, "enable.idempotence", idempotent,
                            "linger.ms", "20", NULL};
  return open_client(RD_KAFKA_PRODUCER, settings);
}

rd_kafka_t* open_consumer(const char* isolation) {
  const char* settings[] = {"group.id", topic, "enable.auto.commit", "false", "isolation.level",
                            isolation, "auto.offset.reset", "earliest", NULL};
  return open_client(RD_KAFKA_CONSUMER, settings);
}

// Records whose value is a text and their number.
void produce_plain(rd_kafka_t* client, const char* to, int first, int count, int partitions,
                          const char* text) {
  char value[100];
  for (int number = first; number < first + count; ++number) {
    const int size = sprintf(value, "%s%d", text, number);
    expect_no_error(
        rd_kafka_producev(client, RD_KAFKA_V_TOPIC(to), RD_KAFKA_V_PARTITION(number % partitions),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_VALUE(value, (size_t)size), RD_KAFKA_V_END),
        "produce");
  }
  expect_no_error(rd_kafka_flush(client, wait_ms), "flush");
}

void fill(int first, int count) {
  rd_kafka_t* client = open_producer("none", "false");
  produce_plain(client, topic, first, count, member_partitions, "");
  rd_kafka_destroy(client);
}

void assign(rd_kafka_t* consumer, const char* from, int64_t offset) {
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partition_count);
  for (int p = 0; p < partition_count; ++p) {
    rd_kafka_topic_partition_list_add(list, from, p)->offset = offset;
  }
  expect_no_error(rd_kafka_assign(consumer, list), "assign");
  rd_kafka_topic_partition_list_destroy(list);
}

rd_kafka_message_t* next_message(rd_kafka_t* consumer, int left) {
  rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, wait_ms);
  if (message == NULL) fail("no message, %d to come", left);
  expect_no_error(message->err, "consume");
  return message;
}

// Waits for the answer of an admin request; the caller destroys the event.
rd_kafka_event_t* answer(rd_kafka_queue_t* queue, const char* what) {
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, wait_ms);
  if (event == NULL) fail("%s: no answer", what);
  if (rd_kafka_event_error(event)) fail("%s: %s", what, rd_kafka_event_error_string(event));
  return event;
}

rd_kafka_resp_err_t create_topic(rd_kafka_t* client, rd_kafka_queue_t* queue, int count_of) {
  char why[512];
  rd_kafka_NewTopic_t* wanted = rd_kafka_NewTopic_new(topic, count_of, 1, why, sizeof why);
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

void create(int partitions) {
  rd_kafka_t* client = open_producer("none", "false");
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
  expect_no_error(create_topic(client, queue, partitions), "create topic");
  rd_kafka_queue_destroy(queue);
  rd_kafka_destroy(client);
}
