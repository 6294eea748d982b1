"""Just enough of the Kafka protocol to say things that no client library says.

Only non-flexible versions, but for ApiVersions 3 where a test needs it. Numbers are big-endian.
"""
import socket
import struct

import network

PRODUCE, FETCH, LIST_OFFSETS, METADATA = 0, 1, 2, 3
API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS, INIT_PRODUCER_ID = 18, 19, 20, 22


def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def string(text):
    if text is None:
        return struct.pack(">h", -1)
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def zigzag(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def unzigzag(data, pos):
    shift = value = 0
    while True:
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), pos
        shift += 7


def batch(values, timestamp=1_700_000_000_000, producer=(-1, -1, -1)):
    """A RecordBatch v2 of `values`, uncompressed, without keys."""
    records = bytearray()
    for delta, value in enumerate(values):
        body = b"\0" + zigzag(0) + zigzag(delta) + zigzag(-1) + zigzag(len(value)) + value + b"\0"
        records += zigzag(len(body)) + body
    after_crc = struct.pack(">hiqqqhii", 0, len(values) - 1, timestamp, timestamp, *producer,
                            len(values)) + records
    return struct.pack(">qiibI", 0, 9 + len(after_crc), -1, 2, crc32c(after_crc)) + after_crc


def records(data):
    """(offset, value) of every whole, uncompressed batch in `data`, and the next offset."""
    found = []
    pos = 0
    offset_next = None
    while pos + 61 <= len(data):
        base, length = struct.unpack_from(">qi", data, pos)
        if pos + 12 + length > len(data):
            break
        last_delta, = struct.unpack_from(">i", data, pos + 23)
        count, = struct.unpack_from(">i", data, pos + 57)
        at = pos + 61
        for _ in range(count):
            size, at = unzigzag(data, at)
            end = at + size
            _, at = unzigzag(data, at + 1)
            delta, at = unzigzag(data, at)
            key_size, at = unzigzag(data, at)
            at += max(0, key_size)
            value_size, at = unzigzag(data, at)
            found.append((base + delta, data[at:at + max(0, value_size)]))
            at = end
        offset_next = base + last_delta + 1
        pos += 12 + length
    return found, offset_next


class Connection:
    """One TCP connection; requests and responses by hand."""

    def __init__(self, port, timeout=30):
        self.socket = socket.create_connection((network.current.host_of(port), port),
                                               timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def frame(self, key, version, body, header_tags=b""):
        self.correlation += 1
        payload = struct.pack(">hhi", key, version, self.correlation) + string("raw") + \
            header_tags + body
        return struct.pack(">i", len(payload)) + payload

    def send(self, key, version, body, header_tags=b""):
        """Sends a request; its correlation id."""
        self.socket.sendall(self.frame(key, version, body, header_tags))
        return self.correlation

    def _read(self, count):
        data = bytearray()
        while len(data) < count:
            piece = self.socket.recv(min(count - len(data), 1 << 20))
            if not piece:
                raise ConnectionError("closed by the broker")
            data += piece
        return bytes(data)

    def receive(self):
        """(correlation id, body) of the next response with header v0."""
        size, = struct.unpack(">i", self._read(4))
        data = self._read(size)
        return struct.unpack_from(">i", data)[0], data[4:]

    def call(self, key, version, body, header_tags=b""):
        wanted = self.send(key, version, body, header_tags)
        got, answer = self.receive()
        if got != wanted:
            raise ValueError(f"correlation id {got}, wanted {wanted}")
        return answer

    def closed_by_peer(self, seconds=10):
        """True when the broker closes within `seconds`; what it sends before is dropped."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except ConnectionError:
            return True
        except socket.timeout:
            return False

    # --- Requests with the answers that the tests look at.
    def api_versions(self):
        """{key: (min, max)}"""
        data = self.call(API_VERSIONS, 0, b"")
        error, count = struct.unpack_from(">hi", data)
        if error:
            raise ValueError(f"ApiVersions error {error}")
        return {key: (low, high) for key, low, high in
                (struct.unpack_from(">hhh", data, 6 + 6 * i) for i in range(count))}

    def create_topic(self, name, partitions=1, configs=()):
        pairs = array([string(key) + string(value) for key, value in configs])
        topic = string(name) + struct.pack(">ihi", partitions, 1, 0) + pairs
        data = self.call(CREATE_TOPICS, 2, array([topic]) + struct.pack(">ib", 30000, 0))
        return struct.unpack_from(">h", data, 4 + 4 + 2 + len(name))[0]

    def delete_topic(self, name):
        data = self.call(DELETE_TOPICS, 1, array([string(name)]) + struct.pack(">i", 30000))
        return struct.unpack_from(">h", data, 4 + 4 + 2 + len(name))[0]

    def init_producer_id(self):
        data = self.call(INIT_PRODUCER_ID, 0, string(None) + struct.pack(">i", 60000))
        error, producer_id, epoch = struct.unpack_from(">hqh", data, 4)
        if error:
            raise ValueError(f"InitProducerId error {error}")
        return producer_id, epoch

    @staticmethod
    def produce_body(topic, partition, data, acks=-1, timeout_ms=30000):
        return (string(None) + struct.pack(">hi", acks, timeout_ms) +
                array([string(topic) + array([struct.pack(">ii", partition, len(data)) + data])]))

    @staticmethod
    def produce_answer(data, topic):
        """(error, base offset) of a Produce 7 answer with one partition."""
        return struct.unpack_from(">hq", data, 4 + 2 + len(topic) + 4 + 4)

    def produce(self, topic, partition, data, acks=-1):
        answer = self.call(PRODUCE, 7, self.produce_body(topic, partition, data, acks))
        return self.produce_answer(answer, topic)

    @staticmethod
    def fetch_body(topic, partition, offset, wait_ms=500, bytes_min=1, bytes_max=1 << 22):
        part = struct.pack(">iqi", partition, offset, bytes_max)
        return (struct.pack(">iiiib", -1, wait_ms, bytes_min, bytes_max, 0) +
                array([string(topic) + array([part])]))

    def fetch(self, topic, partition, offset, **limits):
        """(error, high watermark, bytes of the record set), by Fetch 4."""
        data = self.call(FETCH, 4, self.fetch_body(topic, partition, offset, **limits))
        pos = 4 + 4 + 2 + len(topic) + 4 + 4
        error, watermark, _, aborted = struct.unpack_from(">hqqi", data, pos)
        pos += 22 + 16 * max(0, aborted)
        size, = struct.unpack_from(">i", data, pos)
        return error, watermark, data[pos + 4:pos + 4 + max(0, size)]

    def list_offset(self, topic, partition, timestamp):
        """(error, timestamp, offset), by ListOffsets 1."""
        part = struct.pack(">iq", partition, timestamp)
        data = self.call(LIST_OFFSETS, 1,
                         struct.pack(">i", -1) + array([string(topic) + array([part])]))
        return struct.unpack_from(">hqq", data, 4 + 2 + len(topic) + 4 + 4)

    def topic_count(self, version, body):
        """Number of topics in a Metadata answer of version 0 or 1, and its controller id."""
        data = self.call(METADATA, version, body)
        nodes, = struct.unpack_from(">i", data)
        pos = 4
        ids = []
        for _ in range(nodes):
            node, size = struct.unpack_from(">ih", data, pos)
            ids.append(node)
            pos += 6 + size + 4
            if version >= 1:
                rack, = struct.unpack_from(">h", data, pos)
                pos += 2 + max(0, rack)
        controller = None
        if version >= 1:
            controller, = struct.unpack_from(">i", data, pos)
            pos += 4
        return struct.unpack_from(">i", data, pos)[0], controller, ids
