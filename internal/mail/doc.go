// Package mail composes Sparekey's mails and hands them to a mail server.
//
// Composer writes the mails (the link, the notice after a change, a test mail)
// as go-mail messages: templates say where things stand, texts/ what is said in
// each language, a reset.Brand how it looks and whom it is from. What is the same in
// every mail of a language and a brand is put into the templates once (fold.go).
// Operators can lay templates of their own over ours. Mailer implements reset.Mailer by giving them to one
// SMTP server over a bounded set of connections that are kept and used again.
// The package mail/devbox shows the same mails in a browser instead of sending
// them, and mail/smtptest is the server that tests and benchmarks send to.
//
// go-mail's Client keeps one connection and sends one mail at a time over it,
// so only its message type and its smtp package are used here.
package mail
