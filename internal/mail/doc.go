// Package mail composes Sparekey's mails and hands them to a mail server.
//
// Composer writes the texts (the link, the notice after a reset, a test mail)
// as go-mail messages; Mailer implements reset.Mailer by giving them to one
// SMTP server over a bounded set of connections that are kept and used again.
// The package mail/devbox shows the same mails in a browser instead of sending
// them, and mail/smtptest is the server that tests and benchmarks send to.
//
// go-mail's Client keeps one connection and sends one mail at a time over it,
// so only its message type and its smtp package are used here.
package mail
