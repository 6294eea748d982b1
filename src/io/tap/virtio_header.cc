#include "io/tap/virtio_header.h"

namespace tailrace::io {

VirtioHeader virtio_header_of(const TxFrame& frame) {
  VirtioHeader header;
  if (frame.checksum_pos != 0) {
    header.flags = VirtioHeader::needs_checksum;
    header.checksum_start = static_cast<std::uint16_t>(frame.link_bytes + frame.network_bytes);
    header.checksum_pos = frame.checksum_pos;
  }
  if (frame.segment_bytes != 0 && frame.payload_bytes > frame.segment_bytes) {
    header.gso_type = frame.is_ipv6() ? VirtioHeader::gso_tcp_v6 : VirtioHeader::gso_tcp_v4;
    header.gso_bytes = frame.segment_bytes;
    header.header_bytes = frame.header_bytes;
  }
  return header;
}

}  // namespace tailrace::io
