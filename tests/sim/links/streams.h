// Streams: what either side of each connection gave to its TCP, until the other side got it. TCP's
// own promise: the same bytes, each once, in order.
#pragma once

#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "base/bytes.h"
#include "net/address.h"
#include "net/seq.h"

namespace tailrace::sim {

enum class End : std::uint8_t { client, server };

class Stream {
 public:
  void sent(End by, std::span<const Bytes> slices) {
    Way& way = ways_[static_cast<int>(by)];
    for (const Bytes slice : slices) way.bytes.insert(way.bytes.end(), slice.begin(), slice.end());
  }
  net::Seq client_start;     // the client's first sequence number
  bool is_accepted = false;
  // False: not what was sent.
  bool received(End by, Bytes bytes) {
    Way& way = ways_[by == End::client ? 1 : 0];
    if (way.bytes.size() - way.read < bytes.size()) return false;
    const auto from = way.bytes.begin() + static_cast<std::ptrdiff_t>(way.read);
    if (!std::equal(bytes.begin(), bytes.end(), from)) return false;
    way.read += bytes.size();
    if (way.read == way.bytes.size() || way.read > forget_bytes) {
      way.bytes.erase(way.bytes.begin(), way.bytes.begin() + static_cast<std::ptrdiff_t>(way.read));
      way.read = 0;
    }
    return true;
  }

 private:
  static constexpr std::size_t forget_bytes = std::size_t{64} << 10;
  struct Way {
    std::vector<std::byte> bytes;
    std::size_t read = 0;
  };
  Way ways_[2];   // by who sends
};

// Found by either end under its flow. A client that uses a port again begins a new stream.
class Streams {
 public:
  std::shared_ptr<Stream> open(const net::Flow& of_client) {
    return streams_[key_of(of_client.local, of_client.remote)] = std::make_shared<Stream>();
  }
  std::shared_ptr<Stream> find(const net::Flow& of_server) const {
    const auto found = streams_.find(key_of(of_server.remote, of_server.local));
    return found == streams_.end() ? nullptr : found->second;
  }

 private:
  using Key = std::tuple<decltype(net::IpAddress::bytes), std::uint16_t,
                         decltype(net::IpAddress::bytes), std::uint16_t>;
  static Key key_of(const net::Endpoint& client, const net::Endpoint& server) {
    return {client.address.bytes, client.port, server.address.bytes, server.port};
  }
  std::map<Key, std::shared_ptr<Stream>> streams_;
};

}  // namespace tailrace::sim
