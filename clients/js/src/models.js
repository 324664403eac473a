const isText = (value) => typeof value === 'string' && value !== '';
const isTexts = (value) => Array.isArray(value) && value.every((item) => typeof item === 'string');
const isFlag = (value) => typeof value === 'boolean';
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isState = (value) => ['queued', 'running', 'done'].includes(value);

const required = (is) => ({ is, required: true });
const optional = (is) => ({ is, required: false });

/** Model is what the objects on the wire have in common. Their properties are spelled as on the wire. */
class Model {
  /** The properties by name; each model has its own. */
  static fields = {};

  /**
   * Copies the model's properties from a plain object to `obj`, or to a new
   * model if there is none. What the model does not have is left out. Nothing
   * is converted. Without data it answers `obj` as it is.
   */
  static constructFromObject(data, obj) {
    if (!data) return obj;
    const model = obj || new this();
    for (const name of Object.keys(this.fields)) {
      if (!Object.hasOwn(data, name)) continue;
      model[name] = Array.isArray(data[name]) ? [...data[name]] : data[name];
    }
    return model;
  }
}

/**
 * parse makes a model out of what a server sent, or answers the name of the
 * first property that is missing or of the wrong type.
 */
export function parse(model, data) {
  if (!isObject(data)) return { wrong: 'it is no JSON object' };
  for (const [name, field] of Object.entries(model.fields)) {
    if (!Object.hasOwn(data, name)) {
      if (field.required) return { wrong: `it has no ${name}` };
    } else if (!field.is(data[name])) {
      return { wrong: `its ${name} is not what the API describes` };
    }
  }
  return { data: model.constructFromObject(data) };
}

/** The body of resetPasswordRequestPost: the addresses to mail a link to, always an array. */
export class ResetPasswordRequestReq extends Model {
  static fields = { email: required(isTexts) };

  constructor(email) {
    super();
    this.email = email;
  }
}

/** The addresses as they were sent, whether or not anybody has them. */
export class ResetPasswordRequestResp extends Model {
  static fields = { email: required(isTexts) };

  email = undefined;
}

/** What may be told to whoever holds the id of an open request. */
export class ResetPasswordMetadataResp extends Model {
  static fields = { id: required(isText), multiple_accounts: required(isFlag) };

  id = undefined;
  multiple_accounts = undefined;
}

/** The body of resetPasswordResetIdPost: the new password, as typed. */
export class ResetPasswordResetReq extends Model {
  static fields = { password: required(isText) };

  constructor(password) {
    super();
    this.password = password;
  }
}

/** The id of the request just used. */
export class IdResp extends Model {
  static fields = { id: required(isText) };

  id = undefined;
}

/** The id of a bulk job, for jobStatusIdGet. */
export class JobResp extends Model {
  static fields = { job_id: required(isText) };

  job_id = undefined;
}

/** How far a bulk job is. */
export class JobStatusResp extends Model {
  static fields = {
    job_id: required(isText),
    state: required(isState),
    total: required(isCount),
    sent: required(isCount),
    unknown: required(isCount),
    failed: required(isCount),
  };

  job_id = undefined;
  state = undefined;
  total = undefined;
  sent = undefined;
  unknown = undefined;
  failed = undefined;
}

/** A refusal in the API's words: msg is for people, code for programs. */
export class ErrorModel extends Model {
  static fields = { msg: required(isText), code: required(Number.isSafeInteger), details: optional(isObject) };

  details = undefined;

  constructor(msg, code) {
    super();
    this.msg = msg;
    this.code = code;
  }
}
