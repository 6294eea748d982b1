#include "io/uring/uring_transport.h"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/log.h"

namespace tailrace::io {
namespace {

// RequestName::kind of our requests.
constexpr std::uint8_t kind_accept = 1;
constexpr std::uint8_t kind_connect = 2;
constexpr std::uint8_t kind_receive = 3;
constexpr std::uint8_t kind_send = 4;
constexpr std::uint8_t kind_cancel = 5;

constexpr std::uint16_t buffer_group = 1;   // one transport per ring

// How long accept rests when the process has no descriptor left: pending peers wait in the
// backlog, and we do not spin.
constexpr Duration accept_rest = milliseconds(100);
// What is left of a connection that we close must be out within the first, and the peer must
// have ended it within the second; then it is reset.
constexpr Duration finishing_max = seconds(30);
constexpr Duration draining_max = seconds(1);
constexpr Duration deadline_check = milliseconds(100);

bool means_exhausted(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

void set_option(int fd, int level, int name, int value) {
  // Only for options whose refusal costs speed, not correctness.
  ::setsockopt(fd, level, name, &value, sizeof value);
}

std::string bind_advice(const std::string& text, const char* call, int error) {
  std::string line = fmt::format("cannot listen on {}: {}: {}", text, call, std::strerror(error));
  if (error == EADDRINUSE) line += "; another process has this port: stop it or choose another";
  if (error == EACCES) line += "; ports below 1024 need CAP_NET_BIND_SERVICE";
  if (error == EADDRNOTAVAIL) line += "; no interface of this machine has this address";
  return line;
}

}  // namespace

Result<std::unique_ptr<UringTransport>> UringTransport::create(Ring& ring,
                                                               const TransportOptions& options,
                                                               std::string& why) {
  std::unique_ptr<UringTransport> transport(new UringTransport(ring, options));
  const int error = transport->receive_pool_.register_with(ring.raw(), buffer_group);
  if (error != 0) {
    why = fmt::format("the kernel takes no receive buffers: {}{}", std::strerror(error),
                      error == ENOMEM ? ": raise the locked-memory limit (ulimit -l; systemd: "
                                        "LimitMEMLOCK=; docker: --ulimit memlock=) or the "
                                        "container's memory limit"
                                      : "");
    return fail(Errc::io, static_cast<std::uint16_t>(error));
  }
  for (const std::string& text : options.listen) {
    const int listen_error = transport->open_listener(text, why);
    if (listen_error == EINVAL) return fail(Errc::invalid_argument);
    if (listen_error != 0) return fail(Errc::io, static_cast<std::uint16_t>(listen_error));
  }
  return transport;
}

UringTransport::UringTransport(Ring& ring, const TransportOptions& options)
    : ring_(ring),
      options_(options),
      conns_(options.connections_max),
      receive_pool_(options.receive_buffer_bytes, options.receive_buffer_count),
      send_queue_(options.sends_max, options.slices_max),
      // Every note stands for one of these, so the queue cannot overflow: a send, a buffer, or
      // a connection's beginning, end of stream and end.
      notes_(options.sends_max + options.receive_buffer_count +
             std::size_t{3} * options.connections_max),
      dirty_(std::size_t{2} * options.connections_max),
      starved_(std::size_t{2} * options.connections_max) {
  TR_ASSERT(options.connections_max > 0);
  ring_.attach(RingUser::transport, this);
}

UringTransport::~UringTransport() {
  if (ring_.owned_here()) drain_for_destruction();
  ring_.attach(RingUser::transport, nullptr);
  for (std::size_t i = 0; i < conns_.capacity(); ++i) {
    const Conn* conn = conns_.at_index(i);
    if (conn != nullptr && conn->fd >= 0) ::close(conn->fd);
  }
  for (const Listener& listener : listeners_) ::close(listener.fd);
  receive_pool_.unregister_from(ring_.raw(), buffer_group);
}

// A multishot accept keeps its socket, and so the port, until it has been cancelled.
void UringTransport::drain_for_destruction() {
  stopping_ = true;
  for (const Listener& listener : listeners_) cancel_all_of(listener.fd);
  for (std::size_t i = 0; i < conns_.capacity(); ++i) {
    Conn* conn = conns_.at_index(i);
    if (conn != nullptr) reset(conns_.handle_at(i), *conn);
  }
  const auto is_drained = [&] {
    for (const Listener& listener : listeners_) {
      if (listener.accepting) return false;
    }
    for (std::size_t i = 0; i < conns_.capacity(); ++i) {
      const Conn* conn = conns_.at_index(i);
      if (conn != nullptr && conn->state != State::gone) return false;
    }
    return true;
  };
  for (int i = 0; i < 500 && !is_drained(); ++i) {
    ring_.wait(Ring::monotonic_now() + milliseconds(10));
    process_completions();
  }
}

int UringTransport::open_listener(const std::string& text, std::string& why) {
  SocketAddress address;
  if (!address.parse(text)) {
    why = fmt::format("cannot listen on \"{}\": want HOST:PORT or [HOST]:PORT, numeric", text);
    return EINVAL;
  }
  // Blocking: io_uring waits for readiness itself only on such sockets.
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  const char* call = "socket";
  bool good = fd >= 0;
  if (good) {
    listeners_.push_back({.fd = fd});
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (options_.reuse_port) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (address.family() == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);   // Accepted sockets inherit it.
    call = "bind";
    good = ::bind(fd, address.raw(), address.size) == 0;
  }
  if (good) {
    call = "listen";
    good = ::listen(fd, options_.backlog) == 0;
  }
  if (!good) {
    const int error = errno;
    why = bind_advice(text, call, error);
    return error;
  }
  address.size = sizeof address.storage;
  TR_ASSERT(::getsockname(fd, address.raw(), &address.size) == 0);
  listeners_.back().port = address.port();
  return 0;
}

std::uint16_t UringTransport::local_port(std::uint32_t listener) const {
  TR_ASSERT(listener < listeners_.size());
  return listeners_[listener].port;
}

// --- the seam ---------------------------------------------------------------------------------

std::size_t UringTransport::poll(Instant now, std::span<StreamEvent> events) {
  now_ = now;
  ring_.pump_if_stale(pump_seen_);
  process_completions();
  check_deadlines();
  std::size_t count = 0;
  // Notes that must wait go to the end again; each is looked at once per poll.
  for (std::size_t left = notes_.size(); left > 0 && count < events.size(); --left) {
    const Note note = notes_.pop();
    if (deliver(note, events[count])) ++count;
  }
  return count;
}

// A token is the number of the buffer, plus one.
void UringTransport::release(std::uint64_t token) {
  TR_ASSERT(token > 0);
  receive_pool_.recycle(static_cast<std::uint32_t>(token - 1));
}

bool UringTransport::send(ConnId id, std::span<const Bytes> slices, std::uint64_t token) {
  const ConnHandle handle = handle_of(id);
  Conn* conn = conns_.find(handle);
  const bool goes_out = conn != nullptr && !conn->dropping &&
                        (conn->state == State::connecting || conn->state == State::open ||
                         conn->state == State::finishing);
  if (!goes_out) {
    // The connection broke before the caller could know: its memory comes back all the same.
    const std::uint32_t slot = send_queue_.take_slot(token);
    if (slot == UINT32_MAX) return false;
    if (conn != nullptr) ++conn->sends_unreported;
    note_sent(handle, slot);
    return true;
  }
  if (!send_queue_.push(conn->sends, slices, token)) return false;
  ++conn->sends_unreported;
  report_finished_sends(handle, *conn);   // A send without bytes may be done already.
  mark_dirty(handle, *conn);
  return true;
}

void UringTransport::pause(ConnId id) {
  const ConnHandle handle = handle_of(id);
  Conn* conn = conns_.find(handle);
  if (conn == nullptr || conn->paused || conn->dropping) return;
  conn->paused = true;
  if (!conn->receiving || conn->cancelling) return;
  conn->cancelling = true;
  io_uring_sqe* sqe = ring_.request({.user = RingUser::transport, .kind = kind_cancel});
  sqe->opcode = IORING_OP_ASYNC_CANCEL;
  sqe->fd = -1;
  sqe->addr = receive_name(handle, *conn).packed();
}

void UringTransport::resume(ConnId id) {
  const ConnHandle handle = handle_of(id);
  Conn* conn = conns_.find(handle);
  if (conn == nullptr || !conn->paused) return;
  conn->paused = false;
  for (; conn->notes_held > 0; --conn->notes_held) {
    add_note({.kind = NoteKind::data, .conn = handle});
  }
  if (conn->end_held && conn->state == State::open) {
    add_note({.kind = NoteKind::end, .conn = handle});
  }
  conn->end_held = false;
  settle(handle, *conn);
}

void UringTransport::close(ConnId id) {
  const ConnHandle handle = handle_of(id);
  Conn* conn = conns_.find(handle);
  if (conn == nullptr || conn->dropping) return;
  conn->dropping = true;
  conn->paused = false;
  drop_held(*conn);
  if (conn->state == State::connecting) return begin_ending(handle, *conn);
  if (conn->state != State::open) return;   // On its way already.
  begin_finishing(handle, *conn);
}

void UringTransport::abort(ConnId id) {
  const ConnHandle handle = handle_of(id);
  Conn* conn = conns_.find(handle);
  if (conn != nullptr) reset(handle, *conn);
}

ConnId UringTransport::connect(std::string_view text) {
  SocketAddress address;
  if (conns_.full() || !address.parse(text)) return 0;
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return 0;
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  const ConnHandle handle = conns_.insert();
  Conn& conn = conns_.at(handle);
  conn.fd = fd;
  conn.state = State::connecting;
  conn.connecting = true;
  conn.peer = address;
  io_uring_sqe* sqe = ring_.request(
      {.user = RingUser::transport, .kind = kind_connect, .index = handle.index});
  sqe->opcode = IORING_OP_CONNECT;
  sqe->fd = fd;
  sqe->addr = reinterpret_cast<std::uintptr_t>(conn.peer.raw());
  sqe->off = conn.peer.size;   // The kernel's layout.
  return id_of(handle);
}

Instant UringTransport::next_deadline() const {
  if (!notes_.empty()) return now_;
  Instant deadline = never();
  if (closing_count_ > 0) deadline = deadlines_checked_at_ + deadline_check;
  for (const Listener& listener : listeners_) {
    if (!listener.accepting) deadline = std::min(deadline, listener.accept_again_at);
  }
  return deadline;
}

// --- what the kernel is asked for ---------------------------------------------------------------

void UringTransport::before_submit() {
  if (stopping_) return;
  // All descriptions of the last round have been seen by the kernel.
  if (ring_.unsubmitted() == 0) send_queue_.forget_described();
  start_accepts();
  serve_starved();
  serve_dirty();
}

void UringTransport::start_accepts() {
  for (std::uint32_t i = 0; i < listeners_.size(); ++i) {
    Listener& listener = listeners_[i];
    if (listener.accepting || now_ < listener.accept_again_at) continue;
    listener.accepting = true;
    io_uring_sqe* sqe =
        ring_.request({.user = RingUser::transport, .kind = kind_accept, .index = i});
    sqe->opcode = IORING_OP_ACCEPT;
    sqe->fd = listener.fd;
    sqe->accept_flags = SOCK_CLOEXEC;
    sqe->ioprio = IORING_ACCEPT_MULTISHOT;
  }
}

bool UringTransport::wants_receive(const Conn& conn) const {
  if (conn.receiving || conn.starved || conn.peer_ended) return false;
  switch (conn.state) {
    case State::open:
      return !conn.paused;
    case State::finishing:
    case State::draining:
      return true;   // Thrown away, but a peer stuck in sending would never read our bytes.
    case State::connecting:
    case State::ending:
    case State::gone:
      return false;
  }
  return false;
}

void UringTransport::start_receive(ConnHandle handle, Conn& conn) {
  if (receive_pool_.free_count() == 0) return starve(handle, conn);
  conn.receiving = true;
  ++conn.sequence;
  io_uring_sqe* sqe = ring_.request(receive_name(handle, conn));
  sqe->opcode = IORING_OP_RECV;
  sqe->fd = conn.fd;
  sqe->ioprio = IORING_RECV_MULTISHOT;
  sqe->flags = IOSQE_BUFFER_SELECT;
  sqe->buf_group = buffer_group;
}

void UringTransport::starve(ConnHandle handle, Conn& conn) {
  conn.starved = true;
  if (starved_.push(handle)) return;
  // Connections that went while they waited are still in the queue; those that live fit.
  for (std::size_t left = starved_.size(); left > 0; --left) {
    const ConnHandle old = starved_.pop();
    if (conns_.find(old) != nullptr) starved_.push(old);
  }
  TR_ASSERT(starved_.push(handle));
}

// As many receives as there are buffers: the others would only come back empty-handed.
void UringTransport::serve_starved() {
  for (std::size_t i = receive_pool_.free_count(); i > 0 && !starved_.empty(); --i) {
    const ConnHandle handle = starved_.pop();
    Conn* conn = conns_.find(handle);
    if (conn == nullptr) continue;
    conn->starved = false;
    if (wants_receive(*conn)) start_receive(handle, *conn);
  }
}

void UringTransport::mark_dirty(ConnHandle handle, Conn& conn) {
  if (conn.dirty || conn.sending || conn.sends.empty()) return;
  conn.dirty = true;
  TR_ASSERT(dirty_.push(handle));
}

// Once per submission, so that several sends of a turn to one peer become one sendmsg.
void UringTransport::serve_dirty() {
  for (std::size_t left = dirty_.size(); left > 0; --left) {
    const ConnHandle handle = dirty_.pop();
    Conn* conn = conns_.find(handle);
    if (conn == nullptr) continue;
    conn->dirty = false;
    const bool may_send = conn->state == State::open || conn->state == State::finishing;
    if (may_send && !conn->sends.empty()) start_send(handle, *conn);
  }
}

void UringTransport::start_send(ConnHandle handle, Conn& conn) {
  TR_ASSERT(!conn.sending);
  msghdr* message = send_queue_.describe(conn.sends);
  if (message == nullptr) {
    // The scratch area is full. Once the kernel has seen the requests it is free again.
    ring_.submit();
    if (ring_.unsubmitted() > 0) return mark_dirty(handle, conn);   // Refused for now.
    send_queue_.forget_described();
    message = send_queue_.describe(conn.sends);
    TR_ASSERT(message != nullptr);
  }
  conn.sending = true;
  io_uring_sqe* sqe =
      ring_.request({.user = RingUser::transport, .kind = kind_send, .index = handle.index});
  sqe->opcode = IORING_OP_SENDMSG;
  sqe->fd = conn.fd;
  sqe->addr = reinterpret_cast<std::uintptr_t>(message);
  sqe->len = 1;
  sqe->msg_flags = MSG_NOSIGNAL;
}

void UringTransport::cancel_all_of(int fd) {
  io_uring_sqe* sqe = ring_.request({.user = RingUser::transport, .kind = kind_cancel});
  sqe->opcode = IORING_OP_ASYNC_CANCEL;
  sqe->fd = fd;
  sqe->cancel_flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;
}

// --- what the kernel answers --------------------------------------------------------------------

void UringTransport::process_completions() {
  Completion completion;
  while (ring_.take(RingUser::transport, completion)) {
    if (completion.name.kind == kind_cancel) continue;   // What it ended reports itself.
    if (completion.name.kind == kind_accept) {
      on_accept(completion.name.index, completion);
    } else {
      on_conn_completion(completion);
    }
  }
}

void UringTransport::on_conn_completion(const Completion& completion) {
  const ConnHandle handle = conns_.handle_at(completion.name.index);
  // A connection stays until the kernel holds nothing of it, so its slot is still its own.
  Conn& conn = conns_.at(handle);
  if (completion.name.kind == kind_connect) return on_connect(handle, conn, completion.result);
  if (completion.name.kind == kind_send) return on_sent(handle, conn, completion.result);
  TR_ASSERT(completion.name.kind == kind_receive);
  TR_ASSERT(completion.name.sequence == (conn.sequence & 0xffffff));
  on_receive(handle, conn, completion);
}

void UringTransport::on_accept(std::uint32_t index, const Completion& completion) {
  Listener& listener = listeners_[index];
  listener.accepting = (completion.flags & IORING_CQE_F_MORE) != 0;
  const int fd = completion.result;
  if (fd < 0) {
    if (!means_exhausted(-fd) || stopping_) return;
    listener.accept_again_at = now_ + accept_rest;
    log_event(LogLevel::warn, "net", "cannot accept on port {}: {}; raise ulimit -n", listener.port,
        std::strerror(-fd));
    return;
  }
  if (conns_.full() || stopping_) {
    ++refused_count_;
    ::close(fd);
    return;
  }
  const ConnHandle handle = conns_.insert();
  Conn& conn = conns_.at(handle);
  conn.fd = fd;
  conn.peer.size = sizeof conn.peer.storage;
  // Fails when the peer is gone already; the receive will tell, the text is then "?".
  if (::getpeername(fd, conn.peer.raw(), &conn.peer.size) != 0) conn.peer = {};
  conn.peer_host = HostText(conn.peer.host());
  add_note({.kind = NoteKind::accepted, .conn = handle, .listener = index});
  settle(handle, conn);
}

void UringTransport::on_connect(ConnHandle handle, Conn& conn, std::int32_t result) {
  conn.connecting = false;
  if (conn.state != State::connecting) return settle(handle, conn);
  if (result < 0) return begin_ending(handle, conn);
  conn.state = State::open;
  add_note({.kind = NoteKind::connected, .conn = handle});
  mark_dirty(handle, conn);
  settle(handle, conn);
}

void UringTransport::on_receive(ConnHandle handle, Conn& conn, const Completion& completion) {
  // An end of stream may also have used up a buffer.
  if ((completion.flags & IORING_CQE_F_BUFFER) != 0) {
    const std::uint32_t buffer = completion.flags >> IORING_CQE_BUFFER_SHIFT;
    const std::int32_t bytes = std::max(completion.result, 0);
    BufferList unwanted;
    const bool wanted = bytes > 0 && !conn.dropping;
    BufferList& list = wanted ? conn.received : unwanted;
    receive_pool_.append(list, buffer, static_cast<std::uint32_t>(bytes));
    if (wanted) {
      add_note({.kind = NoteKind::data, .conn = handle});
    } else {
      receive_pool_.recycle(receive_pool_.pop(unwanted));
    }
  }
  if ((completion.flags & IORING_CQE_F_MORE) != 0) return;
  conn.receiving = false;
  conn.cancelling = false;
  on_receive_ended(handle, conn, completion.result);
}

void UringTransport::on_receive_ended(ConnHandle handle, Conn& conn, std::int32_t result) {
  const bool goes_on = result > 0 || result == -ECANCELED || result == -EAGAIN || result == -EINTR;
  if (result == 0) {
    conn.peer_ended = true;
    if (conn.state == State::draining) return begin_ending(handle, conn);
    // After the data that is still to be given out.
    if (conn.state == State::open) add_note({.kind = NoteKind::end, .conn = handle});
  } else if (result == -ENOBUFS && conn.state != State::ending) {
    starve(handle, conn);
  } else if (!goes_on) {
    return begin_ending(handle, conn), settle(handle, conn);
  }
  settle(handle, conn);
}

void UringTransport::on_sent(ConnHandle handle, Conn& conn, std::int32_t result) {
  conn.sending = false;
  if (result > 0) {
    send_queue_.advance(conn.sends, static_cast<std::uint64_t>(result));
    report_finished_sends(handle, conn);
  } else if (result != -EAGAIN && result != -EINTR) {
    begin_ending(handle, conn);
  }
  if (conn.state == State::ending) return settle(handle, conn);
  if (!conn.sends.empty()) return mark_dirty(handle, conn);
  if (conn.state == State::finishing) after_sends(handle, conn);
}

// --- the end of a connection --------------------------------------------------------------------

void UringTransport::report_finished_sends(ConnHandle handle, Conn& conn) {
  while (send_queue_.front_is_done(conn.sends)) note_sent(handle, send_queue_.pop(conn.sends));
}

void UringTransport::begin_finishing(ConnHandle handle, Conn& conn) {
  TR_ASSERT(conn.state == State::open);
  conn.state = State::finishing;
  conn.deadline = now_ + finishing_max;
  if (closing_count_++ == 0) deadlines_checked_at_ = now_;
  if (conn.sends.empty() && !conn.sending) return after_sends(handle, conn);
  settle(handle, conn);
}

void UringTransport::after_sends(ConnHandle handle, Conn& conn) {
  TR_ASSERT(conn.state == State::finishing);
  if (conn.peer_ended) return begin_ending(handle, conn);
  ::shutdown(conn.fd, SHUT_WR);
  conn.state = State::draining;
  conn.dropping = true;
  conn.deadline = now_ + draining_max;
  settle(handle, conn);
}

void UringTransport::begin_ending(ConnHandle handle, Conn& conn) {
  if (conn.state == State::ending || conn.state == State::gone) return;
  if (conn.state == State::finishing || conn.state == State::draining) --closing_count_;
  conn.state = State::ending;
  if (conn.receiving || conn.sending || conn.connecting) cancel_all_of(conn.fd);
  settle(handle, conn);
}

void UringTransport::reset(ConnHandle handle, Conn& conn) {
  conn.dropping = true;
  if (conn.state == State::gone) return;
  drop_held(conn);
  // With a linger time of zero closing sends a reset and forgets unsent bytes.
  const linger no_linger{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(conn.fd, SOL_SOCKET, SO_LINGER, &no_linger, sizeof no_linger);
  begin_ending(handle, conn);
}

void UringTransport::settle(ConnHandle handle, Conn& conn) {
  if (conn.state != State::ending) {
    if (wants_receive(conn)) start_receive(handle, conn);
    return;
  }
  if (conn.receiving || conn.sending || conn.connecting) return;
  while (!conn.sends.empty()) note_sent(handle, send_queue_.pop(conn.sends));
  ::close(conn.fd);
  conn.fd = -1;
  conn.state = State::gone;
  // A descriptor is free again: a listener that ran out of them need not rest.
  for (Listener& listener : listeners_) listener.accept_again_at = {};
  add_note({.kind = NoteKind::closed, .conn = handle});
}

// Only what no note in the queue stands for: a buffer and its note go together, which bounds
// the queue.
void UringTransport::drop_held(Conn& conn) {
  for (; conn.notes_held > 0; --conn.notes_held) {
    receive_pool_.recycle(receive_pool_.pop(conn.received));
  }
}

void UringTransport::check_deadlines() {
  if (closing_count_ == 0 || now_ < deadlines_checked_at_ + deadline_check) return;
  deadlines_checked_at_ = now_;
  for (std::size_t i = 0; i < conns_.capacity(); ++i) {
    Conn* conn = conns_.at_index(i);
    if (conn == nullptr) continue;
    const bool is_closing = conn->state == State::finishing || conn->state == State::draining;
    if (is_closing && conn->deadline <= now_) reset(conns_.handle_at(i), *conn);
  }
}

// --- events out ---------------------------------------------------------------------------------

bool UringTransport::deliver(const Note& note, StreamEvent& event) {
  event = {.kind = StreamEvent::Kind::accepted, .conn = id_of(note.conn)};
  switch (note.kind) {
    case NoteKind::accepted:
      event.listener = note.listener;
      event.bytes = as_bytes(conns_.at(note.conn).peer_host.text());
      return true;
    case NoteKind::connected:
      event.kind = StreamEvent::Kind::connected;
      return true;
    case NoteKind::data:
      return deliver_data(note, event);
    case NoteKind::end:
      deliver_end(note);
      return false;
    case NoteKind::sent:
      return deliver_sent(note, event);
    case NoteKind::closed:
      return deliver_closed(note, event);
  }
  return false;
}

bool UringTransport::deliver_data(const Note& note, StreamEvent& event) {
  Conn& conn = conns_.at(note.conn);
  if (conn.paused) {
    ++conn.notes_held;
    return false;
  }
  const std::uint32_t buffer = receive_pool_.pop(conn.received);
  if (conn.dropping) {
    receive_pool_.recycle(buffer);
    return false;
  }
  event.kind = StreamEvent::Kind::data;
  event.bytes = receive_pool_.bytes_of(buffer);
  event.token = std::uint64_t{buffer} + 1;
  return true;
}

bool UringTransport::deliver_sent(const Note& note, StreamEvent& event) {
  event.kind = StreamEvent::Kind::sent;
  event.token = send_queue_.token(note.send);
  send_queue_.free_slot(note.send);
  // Null for a send that came after `closed`.
  Conn* conn = conns_.find(note.conn);
  if (conn != nullptr) --conn->sends_unreported;
  return true;
}

void UringTransport::deliver_end(const Note& note) {
  Conn& conn = conns_.at(note.conn);
  if (conn.state != State::open) return;
  if (conn.paused) {
    conn.end_held = true;
  } else if (!conn.received.empty()) {
    add_note(note);   // resume() has put the held data behind us.
  } else {
    begin_finishing(note.conn, conn);
  }
}

bool UringTransport::deliver_closed(const Note& note, StreamEvent& event) {
  Conn& conn = conns_.at(note.conn);
  TR_ASSERT(conn.state == State::gone);
  drop_held(conn);
  // A send was accepted, or data resumed, after the connection had gone: behind us.
  if (conn.sends_unreported > 0 || !conn.received.empty()) return add_note(note), false;
  conns_.erase(note.conn);
  event.kind = StreamEvent::Kind::closed;
  return true;
}

void UringTransport::add_note(Note note) { TR_ASSERT(notes_.push(note)); }

void UringTransport::note_sent(ConnHandle handle, std::uint32_t send) {
  add_note({.kind = NoteKind::sent, .conn = handle, .send = send});
}

// One is added to the index, because 0 means no connection.
ConnId UringTransport::id_of(ConnHandle handle) { return handle.packed() + 1; }

UringTransport::ConnHandle UringTransport::handle_of(ConnId id) {
  return id == 0 ? ConnHandle{} : ConnHandle::unpacked(id - 1);
}

RequestName UringTransport::receive_name(ConnHandle handle, const Conn& conn) {
  return {.user = RingUser::transport,
          .kind = kind_receive,
          .sequence = conn.sequence,
          .index = handle.index};
}

}  // namespace tailrace::io
