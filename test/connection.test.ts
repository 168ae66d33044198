import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type Connection, connect } from 'recon';
import * as assert from 'uvu/assert';
import { rejection } from './helpers.js';
import { Peer } from './peer.js';
import { suite } from './suite.js';

const test = suite('connection');

test('diagnostics_channel shows a connection that is still opening, and the error that it ends with', async () => {
  const port = await Peer.freePort();
  const told: unknown[] = [];
  const onRetry = (message: unknown): void => {
    const { connection, attempt } = message as { connection: Connection; attempt: number };
    told.push([attempt, connection.readyState]);
  };
  const onError = (message: unknown): void => {
    const { connection, error } = message as { connection: Connection; error: Error };
    told.push([error, connection.readyState]);
  };
  subscribe('recon:retry', onRetry);
  subscribe('recon:error', onError);
  const error = await rejection(connect(port, '127.0.0.1', { retry: { retries: 2, minTimeout: 1 } }));
  unsubscribe('recon:retry', onRetry);
  unsubscribe('recon:error', onError);
  assert.equal(told, [[1, 'opening'], [2, 'opening'], [error, 'closed']]);
});

test.run();
