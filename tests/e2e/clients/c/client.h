// What the files of the client share. Each feature has a topic of its own.
#pragma once

#include <librdkafka/rdkafka.h>

enum { partition_count = 3, member_partitions = 4, record_count = 600, wait_ms = 40000 };
static const int64_t start_ms = 1700000000000;
static const int64_t end_offset = record_count / partition_count;

extern const char* address;
extern const char* feature;
extern char topic[100];
extern int checks_offsets;  // Of records that a producer is told of.

// Whether it is as wanted; if not, the feature is bad and its process ends.
void fail(const char* format, ...);
void expect_equal(int64_t found, int64_t wanted, const char* what);
void expect_no_error(rd_kafka_resp_err_t error, const char* what);
void expect_done(rd_kafka_error_t* error, const char* what);

int64_t now_ms(void);

// Clients; `settings`: pairs, ended by NULL.
rd_kafka_t* open_client(rd_kafka_type_t type, const char* const* settings);
rd_kafka_t* open_producer(const char* codec, const char* idempotent);
rd_kafka_t* open_consumer(const char* isolation);

// Topics. `create_topic` leaves the error to its caller.
rd_kafka_event_t* answer(rd_kafka_queue_t* queue, const char* what);
rd_kafka_resp_err_t create_topic(rd_kafka_t* client, rd_kafka_queue_t* queue, int count_of);
void create(int partitions);

// Records: the story's 600; those whose value is a text and their number.
void produce_records(rd_kafka_t* client, const char* tag);
void produce_plain(rd_kafka_t* client, const char* to, int first, int count, int partitions,
                   const char* text);
void fill(int first, int count);
void assign(rd_kafka_t* consumer, const char* from, int64_t offset);
rd_kafka_message_t* next_message(rd_kafka_t* consumer, int left);

// The features.
void round_trip(const char* codec, const char* idempotent);
void seek(void);
void admin(void);
void resume(void);
void share(const char* strategy);
void group_admin(void);
void transaction(void);
void exactly_once(void);
void fenced(void);
