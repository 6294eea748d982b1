// The first bytes anybody sends.
#include "../support/fuzz_target.h"
#include "kafka/header.h"

using namespace tailrace;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kafka::Reader in(fuzz::input_bytes(data, size));
  const kafka::RequestHeader header = kafka::read_request_header(in);
  if (in.failed()) return 0;
  TR_ASSERT(in.rest().size() <= size);

  std::vector<std::byte> room(size + 16);
  kafka::Writer out(room);
  kafka::write_request_header(out, header);
  TR_ASSERT(!out.overflowed());
  kafka::Reader again(out.written());
  const kafka::RequestHeader same = kafka::read_request_header(again);
  TR_ASSERT(!again.failed());
  TR_ASSERT(again.rest().empty());
  TR_ASSERT(same.api_key == header.api_key);
  TR_ASSERT(same.api_version == header.api_version);
  TR_ASSERT(same.correlation_id == header.correlation_id);
  TR_ASSERT(same.client_id == header.client_id);

  std::byte reply[16];
  kafka::Writer response(reply);
  kafka::write_response_header(response, header);
  kafka::Reader response_in(response.written());
  const std::int32_t correlation_id =
      kafka::read_response_header(response_in, header.api_key, header.api_version);
  TR_ASSERT(correlation_id == header.correlation_id);
  TR_ASSERT(response_in.rest().empty());
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  std::vector<std::string> seeds;
  constexpr std::int16_t keys[] = {0, 1, 3, 18, 60, 99};
  constexpr std::int16_t versions[] = {0, 3, 12};
  for (const std::int16_t key : keys) {
    for (const std::int16_t version : versions) {
      std::byte room[64];
      kafka::Writer out(room);
      kafka::RequestHeader header{key, version, 77, "client"};
      if (version == 3) header.client_id = nullptr;
      kafka::write_request_header(out, header);
      seeds.emplace_back(as_text(out.written()));
    }
  }
  return seeds;
}
