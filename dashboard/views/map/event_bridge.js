// Requests arrive as events "second-look-ask"; answers leave as "second-look-answer".
export default function ({ data, setTriggerValue }) {
  const { channel, answer } = data;
  const ask = ({ detail }) => {
    if (detail.channel === channel) setTriggerValue("question", detail.question);
  };
  window.addEventListener("second-look-ask", ask);
  (window.secondLookAnswers ??= {})[channel] = answer;
  window.dispatchEvent(new CustomEvent("second-look-answer", { detail: { channel, answer } }));
  return () => window.removeEventListener("second-look-ask", ask);
}
