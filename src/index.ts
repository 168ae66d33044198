export type { Endpoint } from './address.js';
export { type Codec, type Decoder, jsonLines, lengthPrefixed, type LengthPrefix, lines, type MaxLength, text } from './codecs.js';
export { connect } from './connect.js';
export type { Connection, ReadyState, WriteOptions } from './connection.js';
export { type Reason, ReconError, type ReconErrorCode } from './errors.js';
export type { ConnectionEvents, Drop, Retry, Stats } from './events.js';
export type { Link } from './link.js';
export { AbortError } from './links.js';
export type { ConnectArgument, ConnectOptions, Dial, DialContext, Heartbeat, OnLink, RetryOptions } from './options.js';
