#include "runtime/connection_table.h"

#include <fmt/format.h>

#include "io/userstack/address_text.h"
#include "runtime/address.h"

namespace tailrace::runtime {
namespace {

constexpr const char* line_format =
    "{:>4} {:<14} {:<28} {:<28} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6} {:>9}\n";

// As RFC 9293 (3.3.2) and `ss` write them.
const char* to_string(net::TcpState state) {
  switch (state) {
    case net::TcpState::closed: return "CLOSED";
    case net::TcpState::syn_sent: return "SYN-SENT";
    case net::TcpState::syn_received: return "SYN-RECEIVED";
    case net::TcpState::established: return "ESTABLISHED";
    case net::TcpState::fin_wait_1: return "FIN-WAIT-1";
    case net::TcpState::fin_wait_2: return "FIN-WAIT-2";
    case net::TcpState::close_wait: return "CLOSE-WAIT";
    case net::TcpState::closing: return "CLOSING";
    case net::TcpState::last_ack: return "LAST-ACK";
  }
  return "?";
}

std::string text_of(const net::Endpoint& endpoint) {
  return join_address({std::string(io::address_text(endpoint.address).text()), endpoint.port});
}

}  // namespace

std::string connection_table_head() {
  return fmt::format(line_format, "core", "state", "local", "peer", "cwnd", "in_flight", "unsent",
                     "send_wnd", "recv_wnd", "mss", "rtt_us");
}

std::string connection_table(const net::Stack& stack, std::uint16_t core) {
  std::string text;
  stack.for_each([&](ConnId, const net::ConnectionInfo& info) {
    text += fmt::format(line_format, core, to_string(info.state), text_of(info.flow.local),
                        text_of(info.flow.remote), info.congestion_window, info.in_flight,
                        info.unsent_bytes, info.send_window, info.receive_window,
                        info.segment_bytes, info.round_trip.ns / 1000);
  });
  return text;
}

}  // namespace tailrace::runtime
