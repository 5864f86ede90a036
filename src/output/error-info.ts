import { type KasmDbError, messageOf } from '../app/errors.js';
import type { ErrorInfo } from './result.js';

/** The `error` of a result. */
export function errorInfo(error: KasmDbError): ErrorInfo {
  return { code: error.outcome, message: messageOf(error), ...error.details };
}
