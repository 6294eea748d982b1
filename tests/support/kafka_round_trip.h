// For the fuzz targets of the protocol's messages. An input: a byte that chooses the API, one that
// chooses the version, the message.
#pragma once

#include "../support/fuzz_target.h"
#include "../support/kafka_messages.h"

namespace tailrace::fuzz {

// What was read can be written, and reads back to what writes the same bytes again.
template <class Message>
void round_trip(Bytes bytes, std::int16_t version) {
  static Arena first_arena(1 << 20);
  static Arena second_arena(1 << 20);
  first_arena.reset();
  second_arena.reset();
  kafka::Reader in(bytes);
  const Result<Message> first = Message::decode(in, version, first_arena);
  if (!first) return;
  const std::string written = test::encoded(*first, version);
  kafka::Reader again(as_bytes(written));
  const Result<Message> second = Message::decode(again, version, second_arena);
  TR_ASSERT(second);
  TR_ASSERT(again.rest().empty());
  TR_ASSERT(test::encoded(*second, version) == written);
}

inline void round_trip_message(Bytes input, bool is_request) {
  const std::uint8_t api_choice = take_choice(input);
  const std::uint8_t version_choice = take_choice(input);
  const auto apis = kafka::apis();
  const kafka::ApiInfo& api = apis[api_choice % apis.size()];
  test::visit_message(api.key, is_request, [&]<class Message>(Message*) {
    constexpr int versions = Message::version_max - Message::version_min + 1;
    round_trip<Message>(
        input, static_cast<std::int16_t>(Message::version_min + version_choice % versions));
  });
}

inline std::vector<std::string> message_seeds(bool is_request) {
  std::vector<std::string> seeds;
  const auto apis = kafka::apis();
  for (const test::Sample& sample : test::read_samples(TR_KAFKA_SAMPLES)) {
    if (sample.is_request != is_request) continue;
    std::size_t index = 0;
    while (apis[index].key != sample.key) ++index;
    std::string seed = {static_cast<char>(index), '\0'};
    test::visit_message(sample.key, is_request, [&]<class Message>(Message*) {
      seed[1] = static_cast<char>(sample.version - Message::version_min);
    });
    seeds.push_back(seed + sample.bytes);
  }
  TR_ASSERT(!seeds.empty());
  return seeds;
}

}  // namespace tailrace::fuzz
