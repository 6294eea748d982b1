// The client's side of Kafka's protocol for tests, the simulator and benchmarks: builds framed
// requests of any generated type at any version, cuts received bytes into frames, reads
// responses, and makes and reads record batches.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/varint.h"
#include "kafka/header.h"
#include "kafka/wire.h"
#include "record/batch_view.h"

namespace tailrace::test {

using Buffer = std::vector<std::byte>;

// A whole frame: int32 length, header, body.
template <class Request>
Buffer build_request(const Request& request, std::int16_t version, std::int32_t correlation_id,
                     kafka::NullableString client_id = "test") {
  const kafka::RequestHeader header{Request::api_key, version, correlation_id, client_id};
  kafka::Writer size = kafka::Writer::counter();
  kafka::write_request_header(size, header);
  request.encode(size, version);
  Buffer frame(4 + size.size());
  kafka::Writer out(frame);
  out.integer(static_cast<std::int32_t>(size.size()));
  kafka::write_request_header(out, header);
  request.encode(out, version);
  return frame;
}

// A frame with an arbitrary header and body, for what no client should send.
inline Buffer build_raw_request(std::int16_t api_key, std::int16_t version,
                                std::int32_t correlation_id, Bytes body = {}) {
  Buffer frame(4 + 10 + body.size());
  kafka::Writer out(frame);
  out.integer(static_cast<std::int32_t>(10 + body.size()));
  out.integer(api_key);
  out.integer(version);
  out.integer(correlation_id);
  out.integer(std::int16_t{-1});
  out.raw(body);
  return frame;
}

// Collects received bytes and gives whole frames (without their length).
class FrameCutter {
 public:
  void add(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  std::optional<Buffer> take() {
    if (bytes_.size() < 4) return std::nullopt;
    const auto size = static_cast<std::size_t>(load_be<std::int32_t>(bytes_.data()));
    if (bytes_.size() < 4 + size) return std::nullopt;
    const auto start = bytes_.begin() + 4;
    Buffer frame(start, start + static_cast<std::ptrdiff_t>(size));
    bytes_.erase(bytes_.begin(), start + static_cast<std::ptrdiff_t>(size));
    return frame;
  }
  bool empty() const { return bytes_.empty(); }

 private:
  Buffer bytes_;
};

// A response with the memory its views point into. Moves keep the views right.
template <class Response>
struct Parsed {
  explicit Parsed(Buffer bytes, std::size_t arena_bytes = std::size_t{1} << 20)
      : frame(std::move(bytes)), arena(std::make_unique<Arena>(arena_bytes)) {}
  Buffer frame;
  std::unique_ptr<Arena> arena;
  std::int32_t correlation_id = -1;
  Response response;
  bool ok = false;          // decoded, and nothing was left over
  std::size_t rest_bytes = 0;

  const Response* operator->() const { return &response; }
};

// `frame`: a response without its length.
template <class Response>
Parsed<Response> parse_response(Buffer frame, std::int16_t version) {
  Parsed<Response> parsed(std::move(frame));
  kafka::Reader in(parsed.frame);
  parsed.correlation_id = kafka::read_response_header(in, Response::api_key, version);
  Result<Response> decoded = Response::decode(in, version, *parsed.arena);
  if (decoded) parsed.response = *decoded;
  parsed.rest_bytes = in.rest().size();
  parsed.ok = decoded.has_value() && !in.failed() && in.rest().empty();
  return parsed;
}

inline std::int32_t correlation_id_of(const Buffer& frame) {
  return load_be<std::int32_t>(frame.data());
}

struct TestRecord {
  std::string key;    // empty: null
  std::string value;
  std::int64_t timestamp = 0;
  bool tombstone = false;  // null instead of the value
};

struct BatchOptions {
  std::int64_t base_timestamp = 1'000'000;  // records that give none have this
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  std::int32_t base_sequence = -1;
  std::int16_t attributes = 0;
};

inline void append_varint(Buffer& out, std::int64_t value) {
  auto zigzag = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  while (zigzag >= 0x80) {
    out.push_back(static_cast<std::byte>(zigzag | 0x80));
    zigzag >>= 7;
  }
  out.push_back(static_cast<std::byte>(zigzag));
}

inline void append_text(Buffer& out, std::string_view text) {
  const Bytes bytes = as_bytes(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// One uncompressed batch as a producer sends it.
inline Buffer build_batch(const std::vector<TestRecord>& records,
                          const BatchOptions& options = {}) {
  Buffer batch(record::header_bytes);
  record::BatchHeader header;
  header.attributes = options.attributes;
  header.base_timestamp = options.base_timestamp;
  header.max_timestamp = options.base_timestamp;
  header.producer_id = options.producer_id;
  header.producer_epoch = options.producer_epoch;
  header.base_sequence = options.base_sequence;
  header.record_count = static_cast<std::int32_t>(records.size());
  header.last_offset_delta = header.record_count - 1;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const TestRecord& record = records[i];
    const std::int64_t at = record.timestamp == 0 ? options.base_timestamp : record.timestamp;
    header.max_timestamp = at > header.max_timestamp ? at : header.max_timestamp;
    Buffer body(1);
    append_varint(body, at - options.base_timestamp);
    append_varint(body, static_cast<std::int64_t>(i));
    append_varint(body, record.key.empty() ? -1 : static_cast<std::int64_t>(record.key.size()));
    append_text(body, record.key);
    append_varint(body, record.tombstone ? -1 : static_cast<std::int64_t>(record.value.size()));
    if (!record.tombstone) append_text(body, record.value);
    append_varint(body, 0);
    append_varint(batch, static_cast<std::int64_t>(body.size()));
    batch.insert(batch.end(), body.begin(), body.end());
  }
  header.batch_length = static_cast<std::int32_t>(batch.size() - record::length_prefix_bytes);
  record::store_header(batch, header);
  record::seal_crc(batch);
  return batch;
}

struct ReadRecord {
  std::int64_t offset = 0;
  std::int64_t timestamp = 0;
  std::string key;
  std::string value;
};

inline std::int64_t take_varint(Bytes& in) {
  std::uint64_t zigzag = 0;
  for (unsigned shift = 0; !in.empty(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(in.front());
    in = in.subspan(1);
    zigzag |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) break;
  }
  return static_cast<std::int64_t>(zigzag >> 1) ^ -static_cast<std::int64_t>(zigzag & 1);
}

inline std::string take_text(Bytes& in) {
  const std::int64_t size = take_varint(in);
  if (size < 0 || static_cast<std::size_t>(size) > in.size()) return {};
  std::string text(as_text(in.first(static_cast<std::size_t>(size))));
  in = in.subspan(static_cast<std::size_t>(size));
  return text;
}

// The records of whole, uncompressed batches; stops at the first broken or cut one.
inline std::vector<ReadRecord> read_records(Bytes batches) {
  std::vector<ReadRecord> records;
  while (const auto batch = record::parse_batch(batches)) {
    if (!record::crc_matches(batch->bytes)) break;
    Bytes in = batch->records();
    for (std::int32_t i = 0; i < batch->header.record_count; ++i) {
      take_varint(in);
      in = in.subspan(1);
      ReadRecord record;
      record.timestamp = batch->header.base_timestamp + take_varint(in);
      record.offset = batch->header.base_offset + take_varint(in);
      record.key = take_text(in);
      record.value = take_text(in);
      take_varint(in);
      records.push_back(std::move(record));
    }
    batches = batches.subspan(batch->bytes.size());
  }
  return records;
}

}  // namespace tailrace::test
