// What every Node client of the matrix is asked to do; a client is an adapter with the methods that
// are called here. PROGRAM HOST:PORT [FEATURE...].
import { isDeepStrictEqual } from 'node:util'

export const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const FEATURES = ['admin', ...CODECS, 'idempotent', 'seek', 'resume', 'group', 'cooperative',
  'kip848', 'group-admin', 'transaction', 'exactly-once', 'fenced']
export const PARTITIONS = 3
const MEMBER_PARTITIONS = 4
export const COUNT = 600
export const START_MS = 1_700_000_000_000
export const WAIT_MS = 40_000

class Wrong extends Error {}
export class Unsupported extends Error {}

export function expectEqual (found, wanted, what) {
  if (isDeepStrictEqual(found, wanted)) return
  const show = value => JSON.stringify(value, (_, v) => typeof v === 'bigint' ? `${v}n` : v)
  throw new Wrong(`${what}: found ${show(found)}, wanted ${show(wanted)}`.slice(0, 500))
}

export async function expectError (pattern, what, run) {
  try {
    await run()
  } catch (error) {
    const text = `${error.name} ${error.type} ${error.message} ${errorTexts(error)}`
    expectEqual(pattern.test(text) || text, true, what)
    return
  }
  throw new Wrong(`${what}: accepted`)
}

function errorTexts (error) {
  const inner = [error.cause, ...(error.errors ?? [])].filter(Boolean)
  return [error.message, error.apiId, ...inner.map(errorTexts)].join(' ')
}

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

export async function waitFor (done, what) {
  const end = Date.now() + WAIT_MS
  while (!await done()) {
    expectEqual(Date.now() < end, true, `in time: ${what}`)
    await sleep(50)
  }
}

// {partition, time, key, value, headers}; some without key, some empty, some without value.
function record (tag, n) {
  const gone = n % 97 === 96
  const headers = {}
  if (n % 3 > 0) headers.n = Buffer.from(`${n}`)
  if (n % 3 > 1) headers.empty = Buffer.alloc(0)
  return {
    partition: n % PARTITIONS,
    time: START_MS + 1000 * n,
    key: n % 7 === 0 && !gone ? null : Buffer.from(`${tag}-${n}`),
    value: gone ? null : Buffer.from(`${tag} ${n} `.repeat(n % 40)),
    headers
  }
}

export const records = tag => Array.from({ length: COUNT }, (_, n) => record(tag, n))

export const plain = (first, count, partitions, text = '') => Array.from({ length: count }, (_, i) => ({
  partition: (first + i) % partitions,
  key: null,
  value: Buffer.from(`${text}${first + i}`),
  headers: {}
}))

// What members have seen: "partition:offset".
export class Seen {
  found = new Set()
  owned = 0
  error = null
  has (count) {
    if (this.error) throw this.error
    return this.found.size >= count
  }
}

async function roundTrip (client, topic, codec, idempotent) {
  if (!client.codecs.includes(codec)) throw new Unsupported(`no ${codec}`)
  await client.create(topic, PARTITIONS)
  const sent = records(codec)
  await client.produce(topic, sent, codec, idempotent)
  const found = await client.read(topic, PARTITIONS, {}, COUNT, true)
  sent.forEach((wanted, n) => {
    const offset = Math.floor(n / PARTITIONS)
    const got = found[wanted.partition][offset]
    expectEqual(got, { ...wanted, offset }, `record ${n}`)
  })
}

async function seek (client, topic) {
  await client.create(topic, PARTITIONS)
  await client.produce(topic, records('seek'), 'none', false)
  const end = COUNT / PARTITIONS
  for (const [asked, wanted] of [['earliest', 0], ['latest', end], [START_MS + 450_000, 150]]) {
    expectEqual(await client.offsetAt(topic, 1, asked), wanted, `offset by ${asked}`)
  }
  let found = await client.read(topic, PARTITIONS, { 0: end - 2, 1: end - 2, 2: end - 2 }, 6, true)
  expectEqual(found[2].map(r => r.offset), [end - 2, end - 1], 'after a seek')
  const at = await client.offsetAt(topic, 0, START_MS + 300_000)
  found = await client.read(topic, PARTITIONS, { 0: at, 1: end - 1, 2: end - 1 }, end - 98, true)
  expectEqual(found[0][0].time, START_MS + 300_000, 'from the time')
}

async function resume (client, topic) {
  await client.create(topic, MEMBER_PARTITIONS)
  for (const [first, count] of [[0, 200], [200, 4], [204, 0], [204, 40]]) {
    if (count) await client.produce(topic, plain(first, count, MEMBER_PARTITIONS), 'none', false)
    const seen = new Seen()
    const member = await client.join(topic, topic, 'group', null, seen)
    await waitFor(() => seen.has(count) && seen.owned === MEMBER_PARTITIONS, 'records')
    await sleep(500)
    await member.stop()
    const wanted = plain(first, count, MEMBER_PARTITIONS).map(r =>
      `${r.partition}:${Math.floor(Number(r.value) / MEMBER_PARTITIONS)}`)
    expectEqual([...seen.found].sort(), wanted.sort(), `records from ${first}`)
  }
}

async function share (client, topic, kind) {
  await client.create(topic, MEMBER_PARTITIONS)
  const fill = (first, count) =>
    client.produce(topic, plain(first, count, MEMBER_PARTITIONS), 'none', false)
  await fill(0, 400)
  const seen = [new Seen(), new Seen(), new Seen()]
  const first = await client.join(topic, topic, kind, null, seen[0])
  await waitFor(() => seen[0].has(400), 'all records')
  await sleep(500)
  const instance = client.unsupported.static ? null : 'static-2'
  const second = await client.join(topic, topic, kind, instance, seen[1])
  await waitFor(() => seen[1].has(0) && seen[0].owned === 2 && seen[1].owned === 2, 'two each')
  await fill(400, 400)
  await waitFor(() => new Set([...seen[0].found, ...seen[1].found]).size === 800, 'all of both')
  await first.stop()
  await waitFor(() => seen[1].owned === MEMBER_PARTITIONS, 'all for who stays')
  await second.stop()
  await fill(800, 4)
  const third = await client.join(topic, topic, kind, instance, seen[2])
  await waitFor(() => seen[2].has(4), 'what came since')
  await third.stop()
  expectEqual([...seen[2].found].sort(), ['0:200', '1:200', '2:200', '3:200'], 'what came since')
}

async function groupAdmin (client, topic) {
  await client.create(topic, MEMBER_PARTITIONS)
  await client.produce(topic, plain(0, 80, MEMBER_PARTITIONS), 'none', false)
  const seen = new Seen()
  const member = await client.join(topic, topic, 'group', null, seen)
  await waitFor(() => seen.has(80), 'all records')
  await sleep(500)
  await member.stop()
  await client.groupAdmin(topic)
}

async function expectValues (client, topic, committed, wanted) {
  const found = await client.read(topic, PARTITIONS, {}, wanted.length, committed)
  expectEqual(found.flat().map(r => `${r.value}`).sort(), wanted.sort(), `committed ${committed}`)
}

async function transaction (client, topic) {
  await client.create(topic, PARTITIONS)
  const producer = await client.transactional(topic)
  const seen = []
  const all = []
  for (const [step, count] of [['kept', 60], ['aborted', 30], ['again', 9], ['open', 3]]) {
    await producer.begin()
    const batch = plain(0, count, PARTITIONS, `${step} `)
    await producer.send(topic, batch)
    const values = batch.map(r => `${r.value}`)
    all.push(...values)
    if (step === 'aborted') {
      await producer.end(false)
    } else if (step !== 'open') {
      await producer.end(true)
      seen.push(...values)
    }
  }
  await expectValues(client, topic, true, [...seen])
  await expectValues(client, topic, false, [...all])
  await producer.end(true)
  await expectValues(client, topic, true, [...seen, 'open 0', 'open 1', 'open 2'])
  await producer.close()
}

async function exactlyOnce (client, topic) {
  await client.create(topic, PARTITIONS)
  await client.create(`${topic}-out`, PARTITIONS)
  await client.produce(topic, plain(0, 90, PARTITIONS), 'none', false)
  const producer = await client.transactional(topic)
  for (const commit of [false, true]) {
    await producer.begin()
    const values = await producer.consume(topic, topic, 90)
    await producer.send(`${topic}-out`, values.map((value, n) => ({
      partition: n % PARTITIONS, key: null, value: Buffer.from(`out ${value}`), headers: {}
    })))
    await producer.sendOffsets()
    await producer.end(commit)
    await producer.doneConsuming()
  }
  await producer.close()
  await expectValues(client, `${topic}-out`, true, plain(0, 90, 3, 'out ').map(r => `${r.value}`))
  expectEqual(await client.committed(topic, topic, PARTITIONS), [30, 30, 30], 'offsets')
}

async function fenced (client, topic) {
  await client.create(topic, PARTITIONS)
  const first = await client.transactional(topic)
  await first.begin()
  await first.send(topic, plain(0, 9, PARTITIONS, 'first '))
  const second = await client.transactional(topic)
  await second.begin()
  await expectError(/fence|epoch/i, 'a commit of who was shut out', () => first.end(true))
  await second.send(topic, plain(0, 9, PARTITIONS, 'second '))
  await second.end(true)
  await expectValues(client, topic, true, plain(0, 9, PARTITIONS, 'second ').map(r => `${r.value}`))
  await second.close()
}

function tell (client, feature, topic) {
  if (client.unsupported[feature]) throw new Unsupported(client.unsupported[feature])
  switch (feature) {
    case 'admin': return client.admin(topic)
    case 'idempotent': return roundTrip(client, topic, 'none', true)
    case 'seek': return seek(client, topic)
    case 'resume': return resume(client, topic)
    case 'group': case 'cooperative': case 'kip848': return share(client, topic, feature)
    case 'group-admin': return groupAdmin(client, topic)
    case 'transaction': return transaction(client, topic)
    case 'exactly-once': return exactlyOnce(client, topic)
    case 'fenced': return fenced(client, topic)
    default: return roundTrip(client, topic, feature, false)
  }
}

export async function main (client) {
  process.on('unhandledRejection', error => console.error('unhandled', error))
  const [address, ...chosen] = process.argv.slice(2)
  client.address = address
  console.log(`version ${client.version}`)
  for (const feature of chosen.length ? chosen : FEATURES) {
    const topic = `${client.name}-${feature}-${Date.now() % 1e9}`
    let said = 'ok'
    let timer
    try {
      await Promise.race([tell(client, feature, topic), new Promise((_resolve, reject) => {
        timer = setTimeout(() => reject(new Wrong('not done in 80 s')), 80_000)
      })])
    } catch (error) {
      if (!(error instanceof Wrong || error instanceof Unsupported)) console.error(error)
      said = error instanceof Unsupported ? `unsupported ${error.message}`
        : `bad ${error.name}: ${errorTexts(error)}`.replaceAll('\n', ' ').slice(0, 500)
    }
    clearTimeout(timer)
    console.log(`feature ${feature} ${said}`)
  }
  process.exit(0)
}
