// Intruder: somebody who can reach the port and keeps to no rule. It sends every API's request with
// names, numbers and sizes that mean nothing or nearly nothing, batches that are not what they say,
// bytes that are no request, and halves of requests before it hangs up.
//
// Its topics, groups and transactional ids have names of one letter, so that what it asks meets
// what it asked before and nobody else's. It makes no promise and is promised nothing but whole
// answers: what it shows is that the node stands, and that the promises to others hold beside it.
//
// Not sent: WriteTxnMarkers (whoever reaches the port may end a transaction, which is documented),
// and requests for new partitions at random, which would take the place of others'.
#pragma once

#include "client.h"

namespace tailrace::sim {

class Intruder final : public Client {
 public:
  Intruder(World& world, Prng prng, Pace pace);

  bool settled() const override { return asked_count() == 0; }
  std::string waiting_for() const override { return last_; }

 private:
  void act() override;
  void on_response(const Asked& asked, Bytes frame) override;
  void on_disconnect() override { pause(); }

  void ask_sample();
  void ask_topic();
  void ask_odd_batch();
  void send_no_request();
  void spoil(std::vector<std::byte>& body);
  void pause();

  Duration pause_max_;
  std::string last_ = "nothing";  // asked
  bool hangs_up_ = false;
};

}  // namespace tailrace::sim
