#include "kafka/header.h"

namespace tailrace::kafka {
namespace {

bool is_flexible(std::int16_t api_key, std::int16_t api_version) {
  const ApiInfo* api = find_api(api_key);
  return api != nullptr && api_version >= api->first_flexible;
}

bool has_response_tags(std::int16_t api_key, std::int16_t api_version) {
  return api_key != static_cast<std::int16_t>(ApiKey::api_versions) &&
         is_flexible(api_key, api_version);
}

}  // namespace

RequestHeader read_request_header(Reader& in) {
  RequestHeader header;
  header.api_key = in.integer<std::int16_t>();
  header.api_version = in.integer<std::int16_t>();
  header.correlation_id = in.integer<std::int32_t>();
  header.client_id = in.nullable_string(false);  // Never compact, also in header version 2.
  // A version above ours may have a body we cannot read; its header is of version 2 all the same.
  if (is_flexible(header.api_key, header.api_version)) in.skip_tags();
  return header;
}

void write_response_header(Writer& out, const RequestHeader& request) {
  out.integer(request.correlation_id);
  if (has_response_tags(request.api_key, request.api_version)) out.uvarint(0);
}

void write_request_header(Writer& out, const RequestHeader& header) {
  out.integer(header.api_key);
  out.integer(header.api_version);
  out.integer(header.correlation_id);
  out.nullable_string(header.client_id, false);
  if (is_flexible(header.api_key, header.api_version)) out.uvarint(0);
}

std::int32_t read_response_header(Reader& in, std::int16_t api_key, std::int16_t api_version) {
  const auto correlation_id = in.integer<std::int32_t>();
  if (has_response_tags(api_key, api_version)) in.skip_tags();
  return correlation_id;
}

}  // namespace tailrace::kafka
