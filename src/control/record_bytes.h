// Bytes of records in Kafka's own formats, for the codecs of internal topics and protocols.
#pragma once

#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "kafka/wire.h"

namespace tailrace::control {

using ByteString = std::vector<std::byte>;

inline ByteString copy_of(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

// What `write` writes into a kafka::Writer. It is called twice, the first time to measure.
template <class Write>
ByteString encoded(Write write) {
  kafka::Writer size = kafka::Writer::counter();
  write(size);
  ByteString bytes(size.size());
  kafka::Writer out(bytes);
  write(out);
  TR_ASSERT(!out.overflowed());
  return bytes;
}

}  // namespace tailrace::control
