// @confluentinc/kafka-javascript, by the interface that it shares with kafkajs; librdkafka inside.
import { createRequire } from 'node:module'
import {
  CODECS, COUNT, PARTITIONS, expectEqual, expectError, main, plain, sleep, waitFor
} from './story.mjs'

const { KafkaJS, librdkafkaVersion } = createRequire(import.meta.url)('@confluentinc/kafka-javascript')
const { version } = createRequire(import.meta.url)('@confluentinc/kafka-javascript/package.json')
const { Kafka, logLevel, PartitionAssigners } = KafkaJS

const withoutTime = ({ time, ...rest }) => time ? { ...rest, timestamp: `${time}` } : rest
// An empty header comes as an empty string, a header's text as a buffer.
const headersOf = headers => Object.fromEntries(Object.entries(headers ?? {})
  .map(([name, text]) => [name, Buffer.from(text)]))

class Transactional {
  async open (client, name) {
    this.client = client
    this.producer = client.kafka().producer({
      'transactional.id': name, kafkaJS: { idempotent: true }
    })
    await this.producer.connect()
    return this
  }

  async begin () { this.transaction = await this.producer.transaction() }

  async send (topic, batch) { await this.transaction.send({ topic, messages: batch }) }

  async end (commit) { await (commit ? this.transaction.commit() : this.transaction.abort()) }

  async consume (topic, group, count) {
    this.topic = topic
    this.next = {}
    const values = []
    this.consumer = this.client.kafka().consumer({
      kafkaJS: { groupId: group, fromBeginning: true, autoCommit: false }
    })
    await this.consumer.connect()
    await this.consumer.subscribe({ topic })
    await this.consumer.run({
      eachMessage: async ({ partition, message }) => {
        values.push(message.value)
        this.next[partition] = `${Number(message.offset) + 1}`
      }
    })
    await waitFor(() => values.length >= count, 'records consumed')
    return values
  }

  async sendOffsets () {
    const partitions = Object.entries(this.next).map(([p, offset]) => ({ partition: +p, offset }))
    await this.transaction.sendOffsets({
      consumer: this.consumer, topics: [{ topic: this.topic, partitions }]
    })
  }

  async doneConsuming () { await this.consumer.disconnect() }

  async close () { await this.producer.disconnect() }
}

const client = {
  name: 'confluent-js',
  version: `${version}, librdkafka ${librdkafkaVersion}`,
  codecs: CODECS,
  unsupported: {},

  kafka () {
    return new Kafka({ kafkaJS: { brokers: [this.address], logLevel: logLevel.NOTHING } })
  },

  async administer (run) {
    const admin = this.kafka().admin()
    await admin.connect()
    try {
      return await run(admin)
    } finally {
      await admin.disconnect()
    }
  },

  async create (topic, numPartitions, configs = {}) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    return this.administer(admin => admin.createTopics({
      topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }]
    }))
  },

  async produce (topic, batch, codec, idempotent) {
    const producer = this.kafka().producer({
      'linger.ms': 5, kafkaJS: { idempotent, compression: codec, acks: -1 }
    })
    await producer.connect()
    await producer.send({ topic, messages: batch.map(withoutTime) })
    await producer.disconnect()
  },

  async read (topic, partitions, from, count, committed) {
    const consumer = this.kafka().consumer({
      kafkaJS: {
        groupId: `read-${topic}-${Date.now()}`,
        fromBeginning: true,
        autoCommit: false,
        readUncommitted: !committed
      }
    })
    const found = Array.from({ length: partitions }, () => [])
    const places = new Set()
    await consumer.connect()
    await consumer.subscribe({ topic })
    await consumer.run({
      eachMessage: async ({ partition, message: m }) => {
        const offset = Number(m.offset)
        if (offset < (from[partition] ?? 0) || places.has(`${partition}:${offset}`)) return
        places.add(`${partition}:${offset}`)
        found[partition].push({
          partition,
          offset,
          time: Number(m.timestamp),
          key: m.key ?? null,
          value: m.value,
          headers: headersOf(m.headers)
        })
      }
    })
    for (const [partition, offset] of Object.entries(from)) {
      consumer.seek({ topic, partition: Number(partition), offset: `${offset}` })
    }
    await waitFor(() => places.size >= count, `${count} records of ${topic}`)
    await sleep(500)
    await consumer.disconnect()
    expectEqual(places.size, count, 'records')
    return found
  },

  async offsetAt (topic, partition, asked) {
    return this.administer(async admin => {
      const told = typeof asked === 'number'
        ? await admin.fetchTopicOffsetsByTimestamp(topic, asked)
        : await admin.fetchTopicOffsets(topic)
      const one = told.find(p => p.partition === partition)
      return Number(asked === 'earliest' ? one.low : one.offset)
    })
  },

  async join (topic, group, kind, instance, seen) {
    const consumer = this.kafka().consumer({
      ...(instance ? { 'group.instance.id': instance } : {}),
      ...(kind === 'kip848' ? { 'group.protocol': 'consumer' } : {}),
      kafkaJS: {
        groupId: group,
        fromBeginning: true,
        autoCommitInterval: 200,
        ...(kind === 'kip848' ? {} : {
          sessionTimeout: 6000,
          partitionAssigners: [kind === 'cooperative' ? PartitionAssigners.cooperativeSticky
            : PartitionAssigners.range]
        })
      }
    })
    await consumer.connect()
    await consumer.subscribe({ topic })
    await consumer.run({
      eachMessage: async ({ partition, message }) => {
        seen.found.add(`${partition}:${message.offset}`)
      }
    })
    const look = setInterval(() => { seen.owned = consumer.assignment().length }, 50)
    return {
      stop: async () => {
        clearInterval(look)
        await consumer.disconnect()
      }
    }
  },

  async transactional (name) { return new Transactional().open(this, name) },

  async committed (group, topic, partitions) {
    const [told] = await this.administer(a => a.fetchOffsets({ groupId: group, topics: [topic] }))
    return told.partitions.sort((a, b) => a.partition - b.partition).slice(0, partitions)
      .map(p => Number(p.offset))
  },

  // It has neither configs nor more partitions.
  async admin (topic) {
    expectEqual(await this.create(topic, PARTITIONS, { 'retention.ms': '-1' }), true, 'create')
    expectEqual(await this.create(topic, PARTITIONS), false, 'the same topic again')
    await this.produce(topic, plain(0, COUNT, PARTITIONS), 'none', false)
    await this.administer(async admin => {
      await expectError(/config/i, 'a bad value',
        () => this.create(`${topic}-bad`, 1, { 'retention.ms': 'soon' }))
      const told = await admin.fetchTopicMetadata({ topics: [topic] })
      expectEqual(told[0].partitions.length, PARTITIONS, 'partitions')
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '40' }] })
      expectEqual(await this.offsetAt(topic, 0, 'earliest'), 40, 'first offset left')
      await admin.deleteTopics({ topics: [topic] })
      await waitFor(async () => !(await admin.listTopics()).includes(topic), 'the topic is gone')
    })
  },

  async groupAdmin (group) {
    await this.administer(async admin => {
      const names = async () => (await admin.listGroups()).groups.map(g => g.groupId)
      expectEqual((await names()).includes(group), true, 'the group is listed')
      const told = await admin.describeGroups([group])
      expectEqual(told.groups[0].groupId, group, 'the group is described')
      expectEqual(await this.committed(group, group, 4), [20, 20, 20, 20], 'offsets')
      await admin.deleteGroups([group])
      expectEqual((await names()).includes(group), false, 'the group is listed')
    })
  }
}

main(client)
