import { isObject } from './check.js';
import { isError, withMessage } from './errors.js';

/** Codes of a certificate that does not verify: X.509 verification (as Node's `tls` page lists them) and a wrong name. */
const CERTIFICATE =
  /^(ERR_TLS_CERT_ALTNAME_\w+|CERT_\w+|CRL_\w+|(DEPTH_ZERO_)?SELF_SIGNED_CERT\w*|UNABLE_TO_(GET|VERIFY|DECODE|DECRYPT)_\w+|INVALID_(CA|PURPOSE)|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH|ERROR_IN_CERT_\w+|ERROR_IN_CRL_\w+)$/;

/** @internal Whether the peer's certificate was refused. */
export const isCertificateError = (error: unknown): boolean =>
  isObject(error) && typeof error['code'] === 'string' && CERTIFICATE.test(error['code']);

/**
 * @internal The system's error, told so that it says whom it is about and, where that can be known, what to do. That of a name with
 * several addresses comes without a message: it gets those of its parts. What a stream was destroyed with by somebody else is
 * left as it is.
 */
export function explained(error: unknown, peer: string): unknown {
  if (!isError(error)) return error;
  const { message, code, syscall, errors } = error as NodeJS.ErrnoException & Partial<AggregateError>;
  if (typeof code !== 'string') return error;
  if (Array.isArray(errors) && message === '') {
    return withMessage(error, errors.map((part?: Error) => part?.message).join('; '));
  }
  if (syscall === 'connect' || syscall === 'getaddrinfo') return error;
  if (/^(ERR_SSL_|EPROTO)|before secure/.test(`${code} ${message}`)) return withMessage(error, `${peer} may not speak TLS: ${message.trim()}`);
  return withMessage(error, `${peer}: ${message}${remedy(code)}`);
}

/** What can be done about a certificate that was refused. */
function remedy(code: string): string {
  if (/^ERR_TLS_CERT_ALTNAME/.test(code)) return ' (to expect another name: tls: { servername })';
  return /SELF_SIGNED|UNABLE_TO/.test(code) ? ' (to trust its authority: tls: { ca })' : '';
}
