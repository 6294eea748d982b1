// What a core's data plane asks of its byte streams. The power to do it is io::Transport's.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/ops.h"

namespace tailrace::broker {

struct StreamOp {
  enum class Kind : std::uint8_t {
    send,     // conn, slices, token: as Transport::send; refused: stays first, offered again
    release,  // token: of a data event
    pause,    // conn
    resume,   // conn
    close,    // conn: after what was sent
    abort,    // conn: at once
  };
  Kind kind;
  ConnId conn = 0;
  std::uint64_t token = 0;
  // The array lives until the operation is taken, the bytes until the event `sent`.
  std::span<const Bytes> slices;
};

}  // namespace tailrace::broker
