/**
 * What every call takes besides its promise. With an error, data is null, and so
 * is the response where no answer came: look at the error first. They are typed as after
 * a success, as the callbacks of Node are, because a callback may take fewer arguments.
 */
export type Callback<T> = (error: ApiError | null, data: T, response: ApiResponse) => void;

/** An answer of the server, headers in lower case. */
export interface ApiResponse {
  status: number;
  statusCode: number;
  ok: boolean;
  /** The media type without its parameters. */
  type: string;
  headers: Record<string, string>;
  header: Record<string, string>;
  /** The body as JSON; `{}` if it is none. A refusal's has `msg` and `code`. */
  body: any;
  text: string;
  get(name: string): string | undefined;
}

/** Why a password was refused: a stable code, and a message for people. */
export interface PasswordReason {
  code: string;
  message: string;
}

/** What a failed call gives. The message holds no key, id, password or address of the call. */
export class ApiError extends Error {
  private constructor();
  name: string;
  /** A `refusal` has status and code, an `answer` the status alone. After `network` or `timeout` nobody knows whether the call had its effect. */
  kind: 'refusal' | 'answer' | 'network' | 'timeout' | 'argument';
  status?: number;
  code?: number;
  /** Seconds to wait, where the server named them. */
  retryAfter?: number;
  /** What came, if anything did. */
  response: ApiResponse | undefined;
  /** More about a refusal. */
  readonly details: { password?: PasswordReason[]; [name: string]: any } | undefined;
}

export interface ApiKey {
  readonly type: 'apiKey';
  readonly in: 'header';
  /** The header: X-Auth-Token. */
  name: string;
  apiKey: string | null | undefined;
  /** One word in front of the key; none by default. */
  apiKeyPrefix: string | null | undefined;
}

/** The settings that calls are made with, read when a call begins. */
export class ApiClient {
  /** What an Api made without a client uses. */
  static instance: ApiClient;
  /** By default https://api.quatrix.it/api/1.0. */
  basePath: string;
  authentications: { api_key: ApiKey };
  defaultHeaders: Record<string, string>;
  /** Milliseconds, by default 60000; 0 for any time. */
  timeout: number;
  /** If false, each GET gets a parameter `_` with the time. True by default. */
  cache: boolean;
}

/** The calls of the API. */
export class PasswordResetApi {
  constructor(apiClient?: ApiClient | null);
  apiClient: ApiClient;
  /** Tells whether the id in a mailed link still opens anything. */
  resetPasswordMetadataIdGet(id: string, callback?: Callback<ResetPasswordMetadataResp>): Promise<ResetPasswordMetadataResp>;
  /** Asks for links to be mailed, without the key. (With a key in defaultHeaders the data is a JobResp.) */
  resetPasswordRequestPost(body: { email: string[] }, callback?: Callback<ResetPasswordRequestResp>): Promise<ResetPasswordRequestResp>;
  /** Asks, with an admin's key, for links to be mailed in the background. */
  resetPasswordBulkRequestPost(body: { email: string[] }, callback?: Callback<JobResp>): Promise<JobResp>;
  /** Sets the new password, and uses the request up. */
  resetPasswordResetIdPost(id: string, body: { password: string }, callback?: Callback<IdResp>): Promise<IdResp>;
  /** Tells how far a bulk job is, to the key that asked for it. */
  jobStatusIdGet(id: string, callback?: Callback<JobStatusResp>): Promise<JobStatusResp>;
}

export class ResetPasswordRequestReq {
  constructor(email?: string[]);
  email: string[];
  static constructFromObject(data: object, obj?: ResetPasswordRequestReq): ResetPasswordRequestReq;
}

export class ResetPasswordRequestResp {
  email: string[];
  static constructFromObject(data: object, obj?: ResetPasswordRequestResp): ResetPasswordRequestResp;
}

export class ResetPasswordMetadataResp {
  id: string;
  multiple_accounts: boolean;
  static constructFromObject(data: object, obj?: ResetPasswordMetadataResp): ResetPasswordMetadataResp;
}

export class ResetPasswordResetReq {
  constructor(password?: string);
  password: string;
  static constructFromObject(data: object, obj?: ResetPasswordResetReq): ResetPasswordResetReq;
}

export class IdResp {
  id: string;
  static constructFromObject(data: object, obj?: IdResp): IdResp;
}

export class JobResp {
  job_id: string;
  static constructFromObject(data: object, obj?: JobResp): JobResp;
}

export class JobStatusResp {
  job_id: string;
  state: 'queued' | 'running' | 'done';
  /** How many different addresses were listed. */
  total: number;
  /** How many mails a mail server has taken. */
  sent: number;
  /** How many addresses no user has who may reset. */
  unknown: number;
  /** How many mails were given up, or not sent because of the limit per address. */
  failed: number;
  static constructFromObject(data: object, obj?: JobStatusResp): JobStatusResp;
}

export class ErrorModel {
  constructor(msg?: string, code?: number);
  msg: string;
  code: number;
  details?: { [name: string]: any };
  static constructFromObject(data: object, obj?: ErrorModel): ErrorModel;
}
