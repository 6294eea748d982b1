// Records written and read: with each codec byte by byte, by offset and by time.
#include "client.h"

#include <string.h>

// What record `number` holds; the key's length is 0 for "no key".
static size_t make_key(char* out, const char* tag, int number) {
  return number % 7 == 0 ? 0 : (size_t)sprintf(out, "%s-%d", tag, number);
}
static size_t make_value(char* out, const char* tag, int number) {
  size_t size = 0;
  for (int i = 0; i <= number % 40; ++i) size += (size_t)sprintf(out + size, "%s %d ", tag, number);
  return size;
}

// The story's 600 records.
void produce_records(rd_kafka_t* client, const char* tag) {
  char key[64], value[2048];
  for (int number = 0; number < record_count; ++number) {
    const size_t key_size = make_key(key, tag, number);
    const size_t value_size = make_value(value, tag, number);
    expect_no_error(
        rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic),
                          RD_KAFKA_V_PARTITION(number % partition_count),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_KEY(key_size == 0 ? NULL : key, key_size),
                          RD_KAFKA_V_VALUE(value, value_size),
                          RD_KAFKA_V_TIMESTAMP(start_ms + 1000 * number),
                          RD_KAFKA_V_HEADER("n", tag, -1), RD_KAFKA_V_END),
        "produce");
  }
  expect_no_error(rd_kafka_flush(client, wait_ms), "flush");
}

static void compare(const rd_kafka_message_t* message, const char* tag) {
  char key[64], value[2048];
  const int number = (int)message->offset * partition_count + message->partition;
  const size_t key_size = make_key(key, tag, number);
  const size_t value_size = make_value(value, tag, number);
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
  expect_equal((int64_t)size, (int64_t)strlen(tag), "size of a header");
  expect_equal(memcmp(header, tag, size), 0, "bytes of a header");
}

// Reads from `offset` of every partition to the end.
static void consume(rd_kafka_t* consumer, int64_t offset, int64_t first, const char* tag) {
  int64_t next[partition_count] = {first, first, first};
  assign(consumer, topic, offset);
  for (int left = (int)(end_offset - first) * partition_count; left > 0; --left) {
    rd_kafka_message_t* message = next_message(consumer, left);
    expect_equal(message->offset, next[message->partition]++, "offset of a message");
    compare(message, tag);
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

void round_trip(const char* codec, const char* idempotent) {
  create(partition_count);
  rd_kafka_t* producer = open_producer(codec, idempotent);
  checks_offsets = 1;
  produce_records(producer, codec);
  rd_kafka_destroy(producer);
  rd_kafka_t* consumer = open_consumer("read_committed");
  consume(consumer, RD_KAFKA_OFFSET_BEGINNING, 0, codec);
}

void seek(void) {
  create(partition_count);
  produce_records(open_producer("none", "false"), "seek");
  rd_kafka_t* consumer = open_consumer("read_committed");
  offsets(consumer);
  consume(consumer, end_offset - 5, end_offset - 5, "seek");
  consume(consumer, 150, 150, "seek");
}
