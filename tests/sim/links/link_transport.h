// LinkTransport: our own TCP of one core or of one machine with clients, over a LinkDevice, as the
// broker has it, and between the two the checks of what both promise: memory that is lent stays as
// it is until `sent`, every token is one that was given, and each end gets the bytes that the other
// sent.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "../trace.h"
#include "io/userstack/user_transport.h"
#include "link_device.h"
#include "streams.h"

namespace tailrace::sim {

class LinkTransport final : public io::Transport {
 public:
  struct Setup {
    End end = End::server;
    StackPlan plan;
    net::Endpoint local;           // a server's listens; a client's port is not looked at
    io::LinkAddress link_address{};
    SipKey key{};
    const net::Steering* steering = nullptr;   // of cores that share an address
    std::string name;              // for the reader of a verbose run
  };
  // `device` is `link`, or what steers its frames.
  LinkTransport(const Setup& setup, LinkDevice& link, std::unique_ptr<io::PacketDevice> device,
                SimClock& clock, Trace& trace, Streams& streams);

  std::size_t poll(Instant now, std::span<StreamEvent> events) override;
  void release(std::uint64_t token) override;
  bool send(ConnId conn, std::span<const Bytes> slices, std::uint64_t token) override;
  void pause(ConnId conn) override { user_.pause(conn); }
  void resume(ConnId conn) override { user_.resume(conn); }
  void close(ConnId conn) override { user_.close(conn); }
  void abort(ConnId conn) override { user_.abort(conn); }
  ConnId connect(std::string_view address) override;
  std::uint64_t refused_count() const override { return user_.refused_count(); }
  void flush(Instant now) override { user_.flush(now); }
  Instant next_deadline() const override;

  LinkDevice& device() { return device_; }

  // --- what the checkers look at
  std::uint64_t misuses() const { return misuses_ + device_.misuses(); }
  std::uint64_t changed_sends() const { return changed_sends_ + device_.changed_payloads(); }
  std::uint64_t wrong_bytes() const { return wrong_bytes_; }
  // One line for a verbose run.
  std::string numbers() const;
  bool is_consistent() const { return user_.stack().is_consistent(); }
  // Empty: no connection, nothing lent in either direction.
  std::string what_is_left() const;
  // Planted.
  bool plant_tell_early = false;  // `sent` as soon as the frames are the device's
  bool plant_keep_frames = false; // some that the broker gives back

 private:
  struct Send {
    std::vector<Bytes> slices;
    std::uint64_t sum = 0;
  };
  void say(std::string_view what, ConnId conn) const;
  bool on_event(const StreamEvent& event);
  // Null when it is gone.
  const net::Connection* find(ConnId conn) const;
  bool on_accepted(ConnId conn);
  bool on_data(const StreamEvent& event);
  bool on_sent(std::uint64_t token);
  std::size_t tell_early(std::span<StreamEvent> events);

  const End end_;
  const std::string name_;
  LinkDevice& device_;
  io::UserTransport user_;
  SimClock& clock_;
  Trace& trace_;
  Streams& streams_;
  std::map<ConnId, std::shared_ptr<Stream>> open_;
  std::set<ConnId> ghosts_;                    // see on_accepted()
  std::map<std::uint64_t, Send> sends_;        // by token
  std::set<std::uint64_t> lent_;               // tokens of data events
  std::vector<std::uint64_t> told_early_;
  std::vector<std::uint64_t> tell_next_;
  std::uint64_t released_ = 0;
  std::uint64_t refused_sends_ = 0;
  std::uint64_t misuses_ = 0;
  std::uint64_t changed_sends_ = 0;
  std::uint64_t wrong_bytes_ = 0;
};

}  // namespace tailrace::sim
