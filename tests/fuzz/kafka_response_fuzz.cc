// Every API's response at every version.
#include "../support/kafka_round_trip.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tailrace::fuzz::round_trip_message(tailrace::fuzz::input_bytes(data, size), false);
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() { return message_seeds(false); }
