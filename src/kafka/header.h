// Request and response headers. A request: int32 length, then header and body.
#pragma once

#include "kafka/apis.h"
#include "kafka/wire.h"

namespace tailrace::kafka {

struct RequestHeader {
  std::int16_t api_key = 0;
  std::int16_t api_version = 0;
  std::int32_t correlation_id = 0;
  NullableString client_id;
};

// Reads the header and leaves `in` at the body; `in.failed()` tells of errors. The tag buffer of
// header version 2 is skipped when the API is known and flexible at that version.
RequestHeader read_request_header(Reader& in);

// Version 1 (with a tag buffer) for flexible responses, but always 0 for ApiVersions.
void write_response_header(Writer& out, const RequestHeader& request);

// For clients: tests, benchmarks, the simulator.
void write_request_header(Writer& out, const RequestHeader& header);
std::int32_t read_response_header(Reader& in, std::int16_t api_key, std::int16_t api_version);

}  // namespace tailrace::kafka
