// Package reset is the domain: what a password reset is, the rules it keeps and
// the small interfaces it needs from the outside.
//
// One reset goes four steps:
//
//   - Ask (Service.Ask): somebody names mail addresses. Nobody is looked up;
//     one outbox entry per address is committed and that is all, so a known
//     and an unknown address cannot be told apart by answer or by time.
//   - Mint and mail (Courier.MailLink): an outbox worker looks the address up
//     and, if a user has it, mints a request, stores the digest of its id and
//     mails the link. The id itself is in the mail and nowhere else.
//   - Look (Service.Look): is this link good? Reading changes nothing.
//   - Reset (Service.Reset): the guarded claim, the new password, the closing
//     of the user's other requests and the notice, in one transaction.
//
// The package knows no SQL, no HTTP and no SMTP. It imports nothing of this
// module; every other package may import it.
package reset
