//! What projects are built with, and what a model should know of it.

/// Frameworks and languages that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// What it is called.
    pub name: &'static str,
    /// Other names of it.
    aliases: &'static [&'static str],
    /// Its usual files and ways.
    pub guidance: &'static str,
}

const STACKS: [Stack; 15] = [
    Stack {
        name: "html",
        aliases: &["static", "vanilla"],
        guidance: "Plain HTML, CSS and JavaScript without a build: index.html, style.css, script.js.",
    },
    Stack {
        name: "react",
        aliases: &["react.js", "reactjs"],
        guidance: "React with Vite, in JavaScript: package.json, index.html, src/main.jsx, src/App.jsx. Function \
                   components with hooks.",
    },
    Stack {
        name: "nextjs",
        aliases: &["next", "next.js"],
        guidance: "Next.js with the app router, in JavaScript: package.json, app/layout.jsx, app/page.jsx.",
    },
    Stack {
        name: "vue",
        aliases: &["vue.js", "vuejs"],
        guidance: "Vue 3 with Vite: package.json, index.html, src/main.js, src/App.vue. Script setup.",
    },
    Stack {
        name: "svelte",
        aliases: &[],
        guidance: "Svelte with Vite: package.json, index.html, src/main.js, src/App.svelte.",
    },
    Stack {
        name: "express",
        aliases: &["express.js", "expressjs"],
        guidance: "Express on Node.js, in JavaScript: package.json, server.js, routes/. Answers are JSON.",
    },
    Stack {
        name: "node",
        aliases: &["node.js", "nodejs"],
        guidance: "Node.js without a framework, in JavaScript: package.json, index.js.",
    },
    Stack {
        name: "fastapi",
        aliases: &[],
        guidance: "FastAPI, in Python: requirements.txt, main.py. Pydantic models for bodies.",
    },
    Stack {
        name: "flask",
        aliases: &[],
        guidance: "Flask, in Python: requirements.txt, app.py, templates/.",
    },
    Stack {
        name: "django",
        aliases: &[],
        guidance: "Django, in Python: requirements.txt, manage.py, one project folder, one app folder.",
    },
    Stack {
        name: "python",
        aliases: &["py"],
        guidance: "Python 3 with its standard library.",
    },
    Stack {
        name: "javascript",
        aliases: &["js"],
        guidance: "JavaScript modules without a framework.",
    },
    Stack {
        name: "typescript",
        aliases: &["ts"],
        guidance: "TypeScript: package.json, tsconfig.json, src/index.ts.",
    },
    Stack {
        name: "sql",
        aliases: &["postgres", "postgresql"],
        guidance: "SQL for PostgreSQL: schema.sql with tables, keys and indexes, seed.sql with a few rows.",
    },
    Stack {
        name: "sqlite",
        aliases: &[],
        guidance: "SQL for SQLite: schema.sql with tables, keys and indexes, seed.sql with a few rows.",
    },
];

/// The stack of this name, in letters of any case.
pub fn find(name: &str) -> Option<Stack> {
    let name = name.trim().to_ascii_lowercase();
    let is_it = |stack: &Stack| stack.name == name || stack.aliases.contains(&name.as_str());
    STACKS.into_iter().find(is_it)
}

/// All names, for who has asked for another.
pub fn names() -> Vec<&'static str> {
    STACKS.iter().map(|stack| stack.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_go_by_several_names() {
        for name in ["react", "React", " ReactJS ", "react.js"] {
            assert_eq!(find(name).map(|stack| stack.name), Some("react"), "{name}");
        }
        assert_eq!(find("cobol"), None);
        assert_eq!(find(""), None);
        let mut all: Vec<&str> = STACKS
            .iter()
            .flat_map(|stack| [&[stack.name], stack.aliases].concat())
            .collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "no name means two things");
    }
}
