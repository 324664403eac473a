// Holds Sparekey's puzzles against altcha-lib: reads one JSON object and answers one.
//
//   sign, seal   the secrets that both know
//   make         options of challenges that altcha-lib makes and solves
//   solve        challenges that it solves
//   judge        payloads that it says yes or no to
import { createChallenge, solveChallenge, verifySolution } from 'altcha-lib';
import { deriveKey } from 'altcha-lib/algorithms/pbkdf2';

let input = '';
for await (const chunk of process.stdin) input += chunk;
const { sign, seal, make = [], solve = [], judge = [] } = JSON.parse(input);

const payload = async (challenge) =>
  btoa(JSON.stringify({ challenge, solution: await solveChallenge({ challenge, deriveKey }) }));

const verdict = async (text) => {
  try {
    const { challenge, solution } = JSON.parse(atob(text));
    const { verified } = await verifySolution({
      challenge, solution, deriveKey, hmacSignatureSecret: sign, hmacKeySignatureSecret: seal,
    });
    return verified;
  } catch {
    return false;
  }
};

const made = [];
for (const options of make) {
  made.push(await payload(await createChallenge({
    algorithm: 'PBKDF2/SHA-256', deriveKey, hmacSignatureSecret: sign, hmacKeySignatureSecret: seal, ...options,
  })));
}
const solved = [];
for (const challenge of solve) solved.push(await payload(challenge));
const verdicts = [];
for (const text of judge) verdicts.push(await verdict(text));
console.log(JSON.stringify({ made, solved, verdicts }));
