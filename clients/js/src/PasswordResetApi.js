import { ApiClient } from './ApiClient.js';
import {
  IdResp, JobResp, JobStatusResp, ResetPasswordMetadataResp, ResetPasswordRequestResp,
} from './models.js';

/**
 * The calls of the API. Each takes a callback, (error, data, response), and
 * also answers a promise of the data. No call is repeated by itself.
 */
export class PasswordResetApi {
  constructor(apiClient = ApiClient.instance) {
    this.apiClient = apiClient || ApiClient.instance;
  }

  /** Tells whether the id in a mailed link still opens anything. It changes nothing. */
  resetPasswordMetadataIdGet(id, callback) {
    return this.apiClient.callApi({
      name: 'resetPasswordMetadataIdGet', method: 'GET', path: '/reset-password/metadata', id,
      key: 'if set', answers: { 200: ResetPasswordMetadataResp },
    }, callback);
  }

  /**
   * Asks for links to be mailed, as anybody may: the key is not sent with it.
   * (If defaultHeaders bring one, the server makes it a bulk job, and the data is a JobResp.)
   */
  resetPasswordRequestPost(body, callback) {
    return this.apiClient.callApi({
      name: 'resetPasswordRequestPost', method: 'POST', path: '/reset-password/request', body,
      key: 'none', answers: { 200: ResetPasswordRequestResp, 202: JobResp },
    }, callback);
  }

  /** Asks, with a key of the scope admin, for links to be mailed in the background to all the addresses. */
  resetPasswordBulkRequestPost(body, callback) {
    return this.apiClient.callApi({
      name: 'resetPasswordBulkRequestPost', method: 'POST', path: '/reset-password/request', body,
      key: 'needed', answers: { 202: JobResp },
    }, callback);
  }

  /**
   * Sets the new password, and uses the request up. After an error without a
   * status ask resetPasswordMetadataIdGet whether it was: code 81 says that it was.
   */
  resetPasswordResetIdPost(id, body, callback) {
    return this.apiClient.callApi({
      name: 'resetPasswordResetIdPost', method: 'POST', path: '/reset-password/reset', id, body,
      key: 'if set', answers: { 200: IdResp },
    }, callback);
  }

  /** Tells how far a bulk job is, to the key that asked for it. */
  jobStatusIdGet(id, callback) {
    return this.apiClient.callApi({
      name: 'jobStatusIdGet', method: 'GET', path: '/job/status', id,
      key: 'needed', answers: { 200: JobStatusResp },
    }, callback);
  }
}
