/** The pointer that Apache appends to remarks that users search for (FAQUrl.suggestTodo): one page for all of them. */
export const FAQ_HINT = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";
