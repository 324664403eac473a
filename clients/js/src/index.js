export { ApiClient } from './ApiClient.js';
export { ApiError } from './errors.js';
export {
  ErrorModel, IdResp, JobResp, JobStatusResp, ResetPasswordMetadataResp,
  ResetPasswordRequestReq, ResetPasswordRequestResp, ResetPasswordResetReq,
} from './models.js';
export { PasswordResetApi } from './PasswordResetApi.js';
