// Lets people see what they type. Without JavaScript the box stays hidden and the form works all the same.
"use strict";
(function () {
  var box = document.getElementById("show");
  var password = document.getElementById("password");
  if (!box || !password) { return; }
  // Browsers may keep the box checked over a reload, though the field is hidden again.
  box.checked = false;
  box.closest(".show").hidden = false;
  box.addEventListener("change", function () {
    password.type = box.checked ? "text" : "password";
  });
  // Browsers offer to keep what was typed as a password, not as a text.
  password.form.addEventListener("submit", function () { password.type = "password"; });
})();
