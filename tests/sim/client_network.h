// ClientNetwork: the network as a simulated client sees it, whatever carries its bytes.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/ops.h"
#include "base/time.h"

namespace tailrace::sim {

class ClientNetwork {
 public:
  virtual ~ClientNetwork() = default;

  // False when the connection is gone.
  virtual bool client_send(ConnId conn, Bytes bytes) = 0;
  // Moves what has arrived into `bytes`; false when the connection is gone and nothing is left.
  virtual bool client_receive(ConnId conn, std::vector<std::byte>& bytes) = 0;
  virtual void client_close(ConnId conn) = 0;
  // When something may happen at the client's end of `conn`.
  virtual Instant client_deadline(ConnId conn) const = 0;
};

}  // namespace tailrace::sim
