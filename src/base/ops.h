// Effects and completions as plain data: what logic asks of a disk or a byte stream, and what
// comes back. The interfaces that perform them are in src/io; logic knows only these.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "base/bytes.h"

namespace tailrace {

// A short text held by value.
template <std::uint8_t size_max>
class ShortText {
 public:
  static constexpr std::size_t bytes_max = size_max;
  ShortText() = default;
  ShortText(std::string_view text) : size_(static_cast<std::uint8_t>(text.size())) {  // NOLINT
    TR_ASSERT(text.size() <= bytes_max);
    if (!text.empty()) std::memcpy(text_, text.data(), text.size());
  }
  std::string_view text() const { return {text_, size_}; }
  const char* c_str() const { return text_; }  // Always ends in a zero byte.
  friend bool operator==(const ShortText& a, const ShortText& b) { return a.text() == b.text(); }

 private:
  std::uint8_t size_ = 0;
  char text_[bytes_max + 1] = {};
};

// A path below the disk's root: an operation in flight points at nobody.
using FileName = ShortText<126>;

// An open file, numbered by the Disk. Not an operating-system descriptor.
using FileId = std::uint32_t;
inline constexpr FileId no_file = UINT32_MAX;

enum class DiskOpKind : std::uint8_t {
  open,           // name, flags -> result: the FileId. Creates if open_create is set
  close,          // file
  read,           // file, file_pos, block -> result: bytes read; short only at the end of file
  write,          // file, file_pos, block -> result: bytes written. Durable only after a sync
  write_durable,  // the same, durable when it completes (RWF_DSYNC)
  sync,           // file: all completed writes are durable (fdatasync). Never retried on failure
  allocate,       // file: give [file_pos, file_pos + size) its space, zeros where nothing was
                  // written; the file is at least so long afterwards. A hint: it may fail
  truncate,       // file: set the size to file_pos
  remove,         // name; missing is not an error
  rename,         // name -> name_to, replacing it
  make_directory, // name; existing is not an error
  sync_directory, // name: entries made, removed and renamed in it are durable
  remove_directory, // name; missing is not an error
};

// The share of the device an operation draws on. Each class has its own cap in flight, so that
// cold reads and background work never delay the ack path.
enum class DiskClass : std::uint8_t { wal, segment, read, background };

inline constexpr std::uint8_t open_create = 1;   // create if missing
inline constexpr std::uint8_t open_buffered = 2; // without O_DIRECT (small files, read at start)

struct DiskOp {
  DiskOpKind kind;
  DiskClass disk_class = DiskClass::background;
  std::uint8_t flags = 0;      // open_...
  FileId file = no_file;
  std::uint64_t file_pos = 0;  // bytes; "offset" is kept for record offsets
  std::uint64_t size = 0;      // bytes, for allocate
  // Memory for read and write: 4 KiB-aligned address, size and file_pos (but for
  // open_buffered files). Stays the caller's, untouched until the completion.
  MutableBytes block;
  std::uint64_t tag = 0;       // the caller's; comes back in DiskDone
  FileName name;
  FileName name_to;
};

struct DiskDone {
  std::uint64_t tag = 0;
  std::int64_t result = 0;     // see DiskOpKind; below zero: -errno
};

// A connection, numbered by the Transport. Generations make a stale one harmless.
using ConnId = std::uint64_t;

// A numeric IPv4 or IPv6 address (RFC 5952), without a port.
using HostText = ShortText<45>;

struct StreamEvent {
  enum class Kind : std::uint8_t {
    accepted,   // a peer connected; listener tells on which listening address, bytes (valid
                // until the next poll) from which host, as HostText has it
    connected,  // our own connect() succeeded
    data,       // bytes arrived, in order; valid until release(token)
    sent,       // the send with this token is done: its memory is the caller's again
    closed,     // the connection is gone (after this no event names it); pending sends of it
                // have been reported `sent` before
  };
  Kind kind;
  ConnId conn = 0;
  Bytes bytes;
  std::uint64_t token = 0;
  std::uint32_t listener = 0;
};

}  // namespace tailrace
