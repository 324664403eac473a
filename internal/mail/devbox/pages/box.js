// Shows new mails as they come. Without it, the list loads itself anew every two seconds.
const page = document.querySelector("main");
const status = document.querySelector("[role=status]");
const events = new EventSource("/dev/mail/events?seen=" + page.dataset.newest);

events.addEventListener("mail", async (event) => {
  if (page.dataset.newest === event.data) return;
  page.dataset.newest = event.data;
  if (page.dataset.page !== "list") {
    const link = document.createElement("a");
    link.href = "/dev/mail/" + event.data;
    link.textContent = "A new mail has come";
    status.replaceChildren(link);
    return;
  }
  const answer = await fetch("/dev/mail");
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  page.dataset.newest = fresh.dataset.newest;
  page.replaceChildren(...fresh.children);
  status.textContent = "A new mail has come.";
});
