// A popup would close as soon as the browser asks for the passkey, so the extension has a page of its own.
chrome.action.onClicked.addListener(() => {
  chrome.tabs.create({ url: chrome.runtime.getURL('page.html') });
});
