// UringTransport: kernel TCP sockets over io_uring. Multishot accept and receive, received bytes
// in a pool shared by all connections (an idle connection holds none), one gathering send per
// connection in flight.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

#include "base/ring.h"
#include "base/slab.h"
#include "io/transport.h"
#include "io/uring/receive_pool.h"
#include "io/uring/ring.h"
#include "io/uring/send_queue.h"
#include "io/uring/socket_address.h"

namespace tailrace::io {

struct TransportOptions {
  std::vector<std::string> listen;          // "host:port" or "[host]:port", numeric; port 0: any
  bool reuse_port = false;                  // every core listens on the same port
  std::uint32_t connections_max = 1024;
  std::uint32_t receive_buffer_bytes = 65536;
  std::uint32_t receive_buffer_count = 64;  // at most 32768
  std::uint32_t sends_max = 4096;           // send() calls whose `sent` was not yet polled
  std::uint32_t slices_max = 65536;         // slices of all these; bounds the slices of one send
  int backlog = 1024;
};

class UringTransport final : public Transport, private RingClient {
 public:
  // Binds and listens at once; accepting starts with the first poll(). `ring` outlives the
  // object. Errors: invalid_argument (an address), io with the errno; `why` gets a line for the
  // operator.
  static Result<std::unique_ptr<UringTransport>> create(Ring& ring,
                                                        const TransportOptions& options,
                                                        std::string& why);
  // On the ring's thread, or after the owner thread has ended. Resets every connection.
  ~UringTransport();

  std::size_t poll(Instant now, std::span<StreamEvent> events) override;
  void release(std::uint64_t token) override;
  bool send(ConnId conn, std::span<const Bytes> slices, std::uint64_t token) override;
  void pause(ConnId conn) override;
  void resume(ConnId conn) override;
  void close(ConnId conn) override;
  void abort(ConnId conn) override;
  ConnId connect(std::string_view address) override;
  std::string peer_address(ConnId conn) const override;
  Instant next_deadline() const override;

  // The port a listening address got; for port 0.
  std::uint16_t local_port(std::uint32_t listener) const;
  std::size_t connection_count() const { return conns_.size(); }

 private:
  //   connecting --> open --close(), end of stream--> finishing --> draining --> ending --> gone
  //        |           |                                  |            (only after close():
  //        +-----------+------- error, abort() -----------+--> ending   reads until the peer's
  //                                                                     end, so that no reset
  //                                                                     overtakes our bytes)
  // finishing: accepted sends still go out. ending: all requests are being cancelled. gone: the
  // socket is closed, the `closed` event waits to be polled. From finishing on, received bytes
  // are thrown away.
  enum class State : std::uint8_t { connecting, open, finishing, draining, ending, gone };

  struct Conn {
    int fd = -1;
    State state = State::open;
    bool paused = false;
    bool receiving = false;       // a receive is in the kernel
    bool cancelling = false;      // ... and is being cancelled
    bool starved = false;         // waits for a receive buffer
    bool sending = false;         // a send is in the kernel
    bool connecting = false;      // a connect is in the kernel
    bool dirty = false;           // in dirty_: has bytes to send and no send in the kernel
    bool peer_ended = false;
    bool end_held = false;        // the end of stream came while paused
    std::uint32_t sequence = 0;   // tells a receive from a later one
    std::uint32_t notes_held = 0; // data events withheld while paused
    std::uint32_t sends_unreported = 0;
    BufferList received;          // bytes not yet given out, oldest first
    SendList sends;
    Instant deadline{};           // of finishing and draining
    SocketAddress peer;
  };
  using ConnHandle = Handle<Conn>;

  struct Listener {
    int fd = -1;
    std::uint16_t port = 0;
    bool accepting = false;
    Instant accept_again_at{};
  };

  // What poll() will hand out. `data` and `end` are looked up in the connection only then, so
  // that pause() and close() still apply to them.
  enum class NoteKind : std::uint8_t { accepted, connected, data, end, sent, closed };
  struct Note {
    NoteKind kind;
    ConnHandle conn;
    ConnId id = 0;
    std::uint64_t token = 0;
    std::uint32_t listener = 0;
    std::uint32_t send = 0;
  };

  UringTransport(Ring& ring, const TransportOptions& options);
  bool open_listeners(std::string& why);
  bool open_listener(const std::string& text, std::string& why);
  void before_submit() override;

  void process_completions();
  void on_accept(std::uint32_t listener, const Completion& completion);
  void on_connect(ConnHandle handle, Conn& conn, std::int32_t result);
  void on_receive(ConnHandle handle, Conn& conn, const Completion& completion);
  void on_sent(ConnHandle handle, Conn& conn, std::int32_t result);

  void start_accepts();
  void start_receive(ConnHandle handle, Conn& conn);
  void stop_receive(ConnHandle handle, Conn& conn);
  void start_send(ConnHandle handle, Conn& conn);
  void serve_starved();
  void mark_dirty(ConnHandle handle, Conn& conn);

  void after_sends(ConnHandle handle, Conn& conn);
  void begin_finishing(ConnHandle handle, Conn& conn);
  void begin_ending(ConnHandle handle, Conn& conn);
  void settle(ConnHandle handle, Conn& conn);
  void report_sends(ConnHandle handle, Conn& conn, std::uint64_t bytes);
  void drop_received(Conn& conn);
  void check_deadlines();
  // False when the note gives no event.
  bool deliver(Note& note, StreamEvent& event);
  bool deliver_data(const Note& note, StreamEvent& event);
  void deliver_end(const Note& note);
  void note(NoteKind kind, ConnHandle handle);

  Conn* find(ConnId conn);
  const Conn* find(ConnId conn) const;
  static ConnHandle handle_of(ConnId conn);
  static ConnId id_of(ConnHandle handle);
  io_uring_sqe* request(std::uint8_t kind, std::uint32_t index, std::uint32_t sequence = 0);

  Ring& ring_;
  const TransportOptions options_;
  std::vector<Listener> listeners_;
  Slab<Conn> conns_;
  ReceivePool receive_pool_;
  SendQueue send_queue_;
  tailrace::Ring<Note> notes_;
  tailrace::Ring<ConnHandle> dirty_;
  tailrace::Ring<ConnHandle> starved_;
  std::uint32_t closing_count_ = 0;   // connections with a deadline
  Instant now_{};
  std::uint64_t pump_seen_ = 0;
  std::uint64_t refused_count_ = 0;
};

}  // namespace tailrace::io
