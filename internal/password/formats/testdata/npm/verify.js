// Says of each hash what the packages of npm say that read its format.
'use strict';
const bcrypt = require('bcrypt');
const bcryptjs = require('bcryptjs');
const pbkdf2 = require('@phc/pbkdf2');

const readers = {
  bcrypt: (encoded, password) => bcrypt.compare(password, encoded),
  bcryptjs: (encoded, password) => bcryptjs.compare(password, encoded),
  '@phc/pbkdf2': (encoded, password) => pbkdf2.verify(encoded, password),
};

(async () => {
  const verify = readers[process.argv[2]];
  const tries = JSON.parse(require('fs').readFileSync(0, 'utf8'));
  const verdicts = [];
  for (const t of tries) verdicts.push([await verify(t.encoded, t.password), await verify(t.encoded, t.wrong)]);
  process.stdout.write(JSON.stringify(verdicts));
})();
