// What makes the pages better where JavaScript runs. Without it they work all the same.
(function () {
  "use strict";
  var language = document.documentElement.lang;

  // Times are said in the person's own zone, and without the date if it is today.
  function localize() {
    document.querySelectorAll("time").forEach(function (element) {
      var at = new Date(element.dateTime);
      var style = at.toDateString() === new Date().toDateString() ? { timeStyle: "short" } : { dateStyle: "long", timeStyle: "short" };
      element.textContent = new Intl.DateTimeFormat(language, style).format(at);
    });
  }

  // begin makes the form ready that is there now; it may have come with an answer.
  function begin() {
    localize();
    var form = document.getElementById("choose");
    if (!form) { return; }
    var password = form.elements.password;
    var show = document.getElementById("show");
    var verdict = document.getElementById("password-hint");
    var bar = form.querySelector(".bar");
    var least = Number(form.dataset.min);
    var turn = 0; // so that a late answer does not speak of what is not there any more
    var timer, sending;

    var words = { false: show.textContent, true: form.querySelector("#show").dataset.hide };
    show.hidden = false;
    show.addEventListener("click", function () {
      var shown = password.type === "password";
      password.type = shown ? "text" : "password";
      show.textContent = words[shown];
      password.focus();
    });

    // say tells what is to say of the password, where screen readers hear it when the typing has paused.
    function say(text, kind) {
      verdict.textContent = text;
      verdict.className = "verdict " + kind;
    }

    function ask(mine) {
      fetch(form.dataset.hint, { method: "POST", body: new URLSearchParams({ password: password.value }), cache: "no-store" })
        .then(function (answer) { return answer.ok ? answer.json() : {}; })
        .then(function (hint) {
          if (mine !== turn || !hint.problems) { return; }
          bar.className = hint.problems.length ? "bar" : "bar good";
          say(hint.problems.length ? hint.problems.join(" ") : form.dataset.fine, hint.problems.length ? "" : "good");
        })
        .catch(function () { }); // the form says it when it is sent
    }

    password.addEventListener("input", function () {
      var length = Array.from(password.value.normalize("NFC")).length;
      var mine = ++turn;
      clearTimeout(timer);
      bar.hidden = length === 0;
      bar.className = "bar";
      bar.firstElementChild.style.inlineSize = Math.min(100, 100 * length / least) + "%";
      if (length === 0) { say("", ""); return; }
      if (length >= least) { say("", ""); }
      timer = setTimeout(function () {
        if (length < least) {
          say(form.dataset.typed.replace("#", length), "");
        } else {
          ask(mine);
        }
      }, 400);
    });

    // The form goes out without leaving the page, so that what was typed stays in the field if it is not taken.
    form.addEventListener("submit", function (event) {
      event.preventDefault();
      if (sending) { return; }
      sending = true;
      turn++;
      clearTimeout(timer);
      var typed = password.value;
      // Browsers offer to keep what was typed as a password, not as a text.
      password.type = "password";
      show.textContent = words[false];
      fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), cache: "no-store" })
        .then(function (answer) {
          if (answer.redirected) {
            location.assign(answer.url);
            return;
          }
          return answer.text().then(function (text) {
            var page = new DOMParser().parseFromString(text, "text/html");
            document.title = page.title;
            page.querySelectorAll("[autofocus]").forEach(function (element) { element.removeAttribute("autofocus"); });
            document.querySelector("main").replaceWith(page.querySelector("main"));
            begin();
            var field = document.getElementById("password");
            if (field) { field.value = typed; }
            var first = document.getElementById("summary") || document.querySelector("h1");
            first.tabIndex = -1;
            first.focus();
          });
        })
        .catch(function () { form.submit(); }); // the browser says what is wrong
    });
  }

  begin();
})();
